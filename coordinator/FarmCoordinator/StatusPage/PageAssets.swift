/// The style and the script of all pages. They stand in the page itself; its policy names their hashes.
enum PageAssets {
    static let style = HTML.trusted(
        """
        :root{--back:#fff;--text:#1c2024;--soft:#60656c;--line:#dfe3e8;--panel:#f6f8fa;--link:#0b57b7;
        --queued:#60656c;--running:#0b57b7;--good:#17753a;--bad:#b3261e;--odd:#8a5300}
        @media(prefers-color-scheme:dark){:root{--back:#14171a;--text:#e4e7eb;--soft:#9aa2ab;--line:#30363d;--panel:#1c2126;--link:#7ab7ff;
        --queued:#9aa2ab;--running:#7ab7ff;--good:#6cd38c;--bad:#ff8f85;--odd:#f0b866}}
        *{box-sizing:border-box}html{scrollbar-gutter:stable}
        body{margin:0 auto;max-width:76rem;padding:0 1rem 3rem;background:var(--back);color:var(--text);
        font:15px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}
        header{display:flex;justify-content:space-between;align-items:baseline;padding:1rem 0 .5rem;border-bottom:1px solid var(--line)}
        header a{font-weight:700;font-size:1.1rem;text-decoration:none;color:inherit}
        #connection{color:var(--soft);min-height:1.5em}#connection.lost{color:var(--bad);font-weight:600}
        a{color:var(--link)}h1{font-size:1.35rem;margin:1rem 0 .25rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:1.75rem 0 .4rem}
        p{margin:.4rem 0;overflow-wrap:anywhere}code,pre{font-family:ui-monospace,monospace;font-size:.92em}
        .soft{color:var(--soft)}.glance{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:1rem 0}
        .glance div{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.5rem .75rem}
        .glance b{display:block;font-size:1.3rem}.glance span{color:var(--soft)}
        .scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
        th{text-align:left;font-weight:600;color:var(--soft);font-size:.85rem}th,td{padding:.3rem .75rem .3rem 0;
        border-bottom:1px solid var(--line);vertical-align:top}td.name{overflow-wrap:anywhere;min-width:9rem}.id,.holders span{white-space:nowrap}.holders span+span::before{content:', ';white-space:pre-wrap}.num{text-align:right;white-space:nowrap}
        .num+td:not(.num),.num+th:not(.num){padding-left:.75rem}td:last-child,th:last-child{padding-right:0}
        .steps{table-layout:fixed}.steps th.num{width:5.5rem}.steps th.count{width:2.5rem}.steps th.state{width:9.5rem}.steps td.name{min-width:0}
        .status{white-space:nowrap;font-weight:600}.status::before{content:"";display:inline-block;width:.6em;height:.6em;border-radius:50%;
        margin-right:.4em;background:currentColor}
        .queued{color:var(--queued)}.running{color:var(--running)}.succeeded,.ready,.cached{color:var(--good)}
        .failed,.lost{color:var(--bad)}.cancelled,.draining,.set-aside{color:var(--odd)}
        details{margin:.3rem 0 .6rem}summary{cursor:pointer;color:var(--soft);overflow-wrap:anywhere}details[open]>summary{margin-bottom:.3rem}
        .error{border-left:4px solid var(--bad);background:var(--panel);padding:.5rem .75rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:.75rem 0}
        .log{background:var(--panel);border:1px solid var(--line);border-radius:6px;min-height:6rem;max-height:36rem;overflow:auto;padding:.5rem .75rem;margin:0;
        white-space:pre-wrap;overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.85rem}
        .log div{display:flex;gap:.75rem}.log i{flex:none;width:4ch;text-align:right;font-style:normal;color:var(--soft);user-select:none}
        .log .note{color:var(--soft)}.log .head{font-weight:600;margin-top:.4rem}.log .bad{color:var(--bad)}
        @media(max-width:40rem){.wide{display:none}body{font-size:14px}th,td{padding-right:.4rem}td.name{min-width:4.5rem}.num+td:not(.num),.num+th:not(.num){padding-left:.3rem}
        .steps th.num{width:4.5rem}.steps th.count{width:1.75rem}.steps th.state{width:6.5rem}}
        """)

    // Parts of the page are replaced by what the server says now; the log comes by the build's own stream of events. Whatever is
    // shown of it is set as text, never as markup.
    static let script = HTML.trusted(
        #"""
        'use strict';
        (() => {
          const sign = document.getElementById('connection');
          const say = (text, lost) => { sign.textContent = text; sign.classList.toggle('lost', !!lost); };
          const sleep = ms => new Promise(done => setTimeout(done, ms));
          const ended = () => document.querySelector('[data-final]') !== null;
          async function refresh() {
            const answer = await fetch(location.href, {cache: 'no-store'});
            if (!answer.ok) throw new Error(answer.status);
            const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
            for (const part of document.querySelectorAll('[data-part]')) {
              const next = fresh.getElementById(part.id);
              // What the reader has unfolded stays so.
              for (const old of part.querySelectorAll('details[open]')) {
                const same = old.id && next && next.querySelector('#' + CSS.escape(old.id));
                if (same) same.open = true;
              }
              if (next && next.outerHTML !== part.outerHTML) part.replaceWith(document.adoptNode(next));
            }
          }
          async function poll() {
            for (;;) {
              if (!document.hidden) {
                try { await refresh(); say(ended() ? '' : 'live'); }
                catch { say('connection lost, trying again', true); }
                if (ended()) return;
              }
              await sleep(2000);
            }
          }
          const log = document.getElementById('log');
          const keep = 5000;
          const open = new Map();
          const numbers = new Map();
          const names = new Map();
          const begun = new Set();
          const number = (stage, step) => numbers.get(stage + '/' + step) || '';
          function begin(stage, step) {
            const key = stage + '/' + step;
            if (begun.has(key)) return;
            begun.add(key);
            line(number(stage, step), plain(names.get(key) || ''), 'head');
          }
          function line(label, text, kind) {
            const row = document.createElement('div');
            const mark = document.createElement('i');
            const body = document.createElement('span');
            mark.textContent = label;
            body.textContent = text;
            if (kind) row.className = kind;
            row.append(mark, body);
            const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
            log.append(row);
            while (log.childElementCount > keep) log.firstElementChild.remove();
            if (atEnd) log.scrollTop = log.scrollHeight;
            return body;
          }
          // Colours and cursor movements of terminals are left out; a carriage return begins the line anew.
          const plain = text => text
            .replace(/\x1b\][^\x07\x1b]*(\x07|\x1b\\)/g, '').replace(/\x1b\[[0-?]*[ -\/]*[@-~]/g, '').replace(/\x1b[@-_]/g, '')
            .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '').replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
          const overwritten = text => { const parts = text.replace(/\r+$/, '').split('\r'); return parts[parts.length - 1]; };
          function output(stage, step, text) {
            const key = stage + '/' + step;
            let state = open.get(key) || {raw: '', body: null};
            const lines = (state.raw + text).split('\n');
            for (let i = 0; i < lines.length; i++) {
              const shown = overwritten(plain(lines[i]));
              if (i === 0 && state.body) state.body.textContent = shown;
              else if (i < lines.length - 1 || lines[i] !== '') state.body = line(number(stage, step), shown);
              if (i < lines.length - 1) state.body = null;
            }
            state.raw = lines[lines.length - 1].slice(-4096);
            if (state.raw === '') state.body = null;
            open.set(key, state);
          }
          function show(event) {
            const [kind, value] = Object.entries(event.kind)[0];
            if (kind === 'planned') {
              let n = 0;
              value.stages.forEach((stage, s) => stage.steps.forEach((name, t) => {
                numbers.set(s + '/' + t, '#' + (++n));
                names.set(s + '/' + t, name);
              }));
            } else if (kind === 'log') output(value.stage, value.step, value.text);
            else if (kind === 'stepStarted') begin(value.stage, value.step);
            else if (kind === 'stepShared') {
              begin(value.stage, value.step);
              line(number(value.stage, value.step), 'runs in build ' + plain(value.build) + ' already, on ' + plain(value.agent) + ': shared', 'note');
            }
            else if (kind === 'stepFinished' && value.cached) {
              begin(value.stage, value.step);
              line(number(value.stage, value.step), 'cached', 'note');
            } else if (kind === 'stepFinished' && value.error) line(number(value.stage, value.step), plain(value.error), 'bad');
            else if (kind === 'stageRetried') line('', 'stage is tried again: ' + plain(value.reason), 'note');
            else if (kind === 'warning') line('', plain(value.text), 'note');
            else if (kind === 'finished') {
              line('', 'build ' + plain(value.status), value.status === 'failed' ? 'bad' : 'note');
              if (value.error && !document.querySelector('.log .bad i:not(:empty)')) line('', plain(value.error.message), 'bad');
            }
            return kind;
          }
          async function follow(address) {
            let after = 0;
            for (;;) {
              try {
                const answer = await fetch(address + '?after=' + after, {cache: 'no-store'});
                if (!answer.ok) throw new Error(answer.status);
                const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
                let rest = '';
                for (;;) {
                  const {value, done} = await reader.read();
                  if (done) break;
                  const lines = (rest + value).split('\n');
                  rest = lines.pop();
                  for (const text of lines) {
                    if (!text) continue;
                    const event = JSON.parse(text);
                    after = event.sequence;
                    if (show(event) === 'finished') { refresh().catch(() => {}); return; }
                  }
                }
              } catch { say('connection lost, trying again', true); }
              await sleep(2000);
            }
          }
          poll();
          if (log && document.body.dataset.events) follow(document.body.dataset.events);
        })();
        """#)
}
