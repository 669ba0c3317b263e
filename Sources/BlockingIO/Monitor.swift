import Glibc

/// A value behind a mutex with a condition: for threads that may block, where an actor can't be used.
///
/// `@unchecked Sendable`: the value is touched only while the mutex is held; both pthread objects live at fixed addresses that
/// this class allocates and frees.
public final class Monitor<Value>: @unchecked Sendable {
    private var value: Value
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Starts with a value.
    public init(_ value: Value) {
        self.value = value
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Lends the value to one thread at a time.
    public func withLock<R>(_ body: (inout Value) throws -> R) rethrows -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Blocks until `body` gives a value; it is tried again after each signal. `onWait` hears +1 before waiting and -1 after.
    public func wait<R>(_ body: (inout Value) throws -> R?, onWait: (inout Value, Int) -> Void = { _, _ in }) rethrows -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = try body(&value) { return result }
            onWait(&value, 1)
            pthread_cond_wait(condition, mutex)
            onWait(&value, -1)
        }
    }

    /// Wakes one waiting thread.
    public func signal() { pthread_cond_signal(condition) }
    /// Wakes all waiting threads.
    public func broadcast() { pthread_cond_broadcast(condition) }
}
