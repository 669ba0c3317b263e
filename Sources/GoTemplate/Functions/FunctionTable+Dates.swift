extension FunctionTable {
    /// Sprig's dates. Nothing asks the clock but `now` and `ago`; the local zone is UTC.
    mutating func addDates() {
        family = .dates
        add("now", count: 0) { a in .moment(try Self.now(a)) }
        add("date", count: 2) { a in try a.make(try Self.moment(a, 1).formatted(try a.text(0))) }
        add("dateInZone", "date_in_zone", count: 3) { a in
            try a.make(try Self.moment(a, 1).moved(to: try a.text(2)).formatted(try a.text(0)))
        }
        add("htmlDate", count: 1) { a in try a.make(try Self.moment(a, 0).formatted(Bytes("2006-01-02"))) }
        add("htmlDateInZone", count: 2) { a in
            try a.make(try Self.moment(a, 0).moved(to: try a.text(1)).formatted(Bytes("2006-01-02")))
        }
        add("unixEpoch", count: 1) { a in .text(String(try Self.moment(a, 0).seconds)) }
        add("toDate", "mustToDate", count: 2) { a in
            let (layout, text) = (try a.text(0), try a.text(1))
            guard let moment = DateLayout(layout).moment(text) else {
                throw Complaint("parsing time \(Quoting.quoted(text).string) as \(Quoting.quoted(layout).string): it has another form")
            }
            return .moment(moment)
        }
        add("dateModify", "date_modify", "mustDateModify", "must_date_modify", count: 2) { a in
            let moment = try Self.moment(a, 1)
            guard let distance = GoDurationText.nanoseconds(try a.text(0)) else {
                throw Complaint("time: invalid duration \(Quoting.quoted(try a.text(0)).string)")
            }
            let (seconds, rest) = distance.quotientAndRemainder(dividingBy: 1_000_000_000)
            let nanoseconds = moment.nanoseconds + Int(rest)
            let carry = nanoseconds < 0 ? -1 : nanoseconds / 1_000_000_000
            return .moment(
                Moment(
                    seconds: moment.seconds + seconds + Int64(carry), nanoseconds: nanoseconds - carry * 1_000_000_000,
                    offset: moment.offset, zone: moment.zone))
        }
        add("ago", count: 1) { a in
            let distance = try Self.now(a).seconds - (try Self.moment(a, 0).seconds)
            return .text(GoDurationText.text(distance.multipliedReportingOverflow(by: 1_000_000_000).partialValue))
        }
        add("duration", count: 1) { a in
            .text(GoDurationText.text(Self.integer(a[0]).multipliedReportingOverflow(by: 1_000_000_000).partialValue))
        }
        add("durationRound", count: 1) { a in
            switch a[0] {
            case .text(let text): return .text(GoDurationText.rounded(GoDurationText.nanoseconds(text) ?? 0))
            case .integer(let value, _): return .text(GoDurationText.rounded(value))
            case .moment(let moment):
                let distance = try Self.now(a).seconds - moment.seconds
                return .text(GoDurationText.rounded(distance.multipliedReportingOverflow(by: 1_000_000_000).partialValue))
            default: return .text(GoDurationText.rounded(0))
            }
        }
    }

    private static func now(_ a: Arguments) throws -> Moment {
        guard let now = a.machine.context.now?() else {
            throw Complaint("the clock is not there for templates: a build would never be the same again (.Commit.Date is there)")
        }
        return Moment(seconds: now.unixTime, nanoseconds: max(0, min(now.nanoseconds, 999_999_999)))
    }

    /// A point in time, or seconds since 1970. Sprig takes the present for anything else: an error here.
    private static func moment(_ a: Arguments, _ index: Int) throws -> Moment {
        switch a[index] {
        case .moment(let moment): return moment
        case .integer(let seconds, _): return Moment(seconds: seconds)
        default: throw Complaint("wrong type for argument \(index + 1); expected time or int; got \(a[index].typeName)")
        }
    }
}
