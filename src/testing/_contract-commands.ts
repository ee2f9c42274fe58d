/** Commands: what arrives, what comes back, and what a command cannot do to the remote. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { noise } from './contract-tree.ts'
import { failsWith } from './fails-with.ts'
import type { Subject } from './remote-contract.ts'

/** Words that a shell in the way would change or carry out. */
const AWKWARD_WORDS: readonly string[] = [
  '',
  ' ',
  'two  words',
  '-n',
  '--',
  '--version',
  `it's "quoted"`,
  '$HOME ${HOME} $$ $(id) `id`',
  '; id & id | id > /dev/null',
  'back\\slash \\n \\',
  'line\nbreak\n',
  '\ttab\r',
  '* ? [a] ~ {a,b} !!',
  'ünïcödé 日本 🦆',
  '%s %d %%',
  'x'.repeat(100_000),
]

export function describeCommands(subject: Subject): void {
  const run = (...argv: string[]) => subject.remote.run({ argv })
  const sh = (script: string, ...words: string[]) => run('sh', '-c', script, 'sh', ...words)

  describe('running commands', () => {
    it('hands every word over as it is', async () => {
      const script = 'for word; do printf "%s\\036" "$word"; done'
      const { code, stdout } = await sh(script, ...AWKWARD_WORDS)
      assert.equal(code, 0)
      assert.deepEqual(stdout.split('\x1e').slice(0, -1), AWKWARD_WORDS)
    })

    it('gives the exit code, and both streams apart, to the last newline', async () => {
      const result = await sh('printf "out\\n\\n"; printf "err\\n" >&2; exit 7')
      assert.deepEqual(result, { code: 7, stdout: 'out\n\n', stderr: 'err\n' })
      for (const code of [0, 1, 77, 124, 125, 254, 255])
        assert.equal((await sh(`exit ${code}`)).code, code)
    })

    it('answers 127 for a program that is not there and 126 for one that cannot be run', async () => {
      const missing = await run('no-such-program-anywhere', 'x')
      assert.equal(missing.code, 127)
      assert.match(missing.stderr, /no-such-program-anywhere/)
      assert.equal((await run('/no/such/program')).code, 127)
      assert.equal((await run('/etc/os-release')).code, 126)
    })

    it('answers 128 and the number of the signal that ended a command', async () => {
      assert.equal((await sh('kill -TERM $$')).code, 143)
      assert.equal((await sh('kill -KILL $$')).code, 137)
    })

    it('starts every command in /, as root, with umask 022 and a plain environment', async () => {
      const names = 'HOME USER LOGNAME SHELL LANG TERM PATH'
      const printed = names.split(' ').map((name) => `"$${name}"`)
      const { stdout } = await sh(
        `pwd; id -u; umask; printf '%s\\n' ${printed.join(' ')}; env | grep -c INGOT_ || :`,
      )
      const [cwd, uid, umask, ...rest] = stdout.trim().split('\n')
      const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
      assert.deepEqual([cwd, uid], ['/', '0'])
      assert.equal(Number.parseInt(umask ?? '', 8), 0o022)
      assert.deepEqual(rest, ['/root', 'root', 'root', '/bin/sh', 'C.UTF-8', 'dumb', path, '0'])
    })

    it('hands the environment over whole, and carries nothing of it out', async () => {
      const trap = subject.at('trap')
      const env: Record<string, string> = {
        EMPTY: '',
        QUOTES: `it's "quoted" \\ '\\''`,
        LINES: 'first\n\nexport X=1\ntrailing\n\n',
        COMMAND: `$(touch ${trap}) \`touch ${trap}\` ; touch ${trap} #`,
        BREAK_OUT: `'; touch ${trap}; '`,
        UNICODE: 'ünïcödé 日本 🦆',
        EQUALS: '=a=b',
        LONG: 'x'.repeat(100_000),
        TERM: 'changed',
      }
      const script = 'for name; do eval "printf \'%s\\036\' \\"\\$$name\\""; done'
      const argv = ['sh', '-c', script, 'sh', ...Object.keys(env)]
      const { stdout } = await subject.remote.run({ argv, env })
      assert.deepEqual(stdout.split('\x1e').slice(0, -1), Object.values(env))
      assert.equal((await run('test', '-e', trap)).code, 1)
    })

    it('refuses a variable whose name is none, and a NUL byte anywhere', async () => {
      for (const name of ['', '1X', 'A-B', 'A B', 'A=B', 'X$(id)'])
        await assert.rejects(
          subject.remote.run({ argv: ['true'], env: { [name]: '1' } }),
          failsWith('REMOTE_CANNOT'),
        )
      await assert.rejects(
        subject.remote.run({ argv: ['true'], env: { X: 'a\0b' } }),
        failsWith('REMOTE_CANNOT'),
      )
      await assert.rejects(run('echo', 'a\0b'), failsWith('REMOTE_CANNOT'))
    })

    it('keeps secrets of the environment off every command line', async () => {
      const secret = `secret-${Math.random().toString(36).slice(2)}`
      const script =
        'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\000" "\\n"; printf "%s" "$SECRET" >&2'
      const result = await subject.remote.run({
        argv: ['sh', '-c', script],
        env: { SECRET: secret },
      })
      assert.equal(result.stderr, secret)
      assert.ok(!result.stdout.includes(secret), 'a process of the guest shows the secret')
    })

    it('gives the input to the command, whole, and nothing when there is none', async () => {
      const result = await subject.remote.run({ argv: ['cat'], input: 'a\n$(id)\n\n' })
      assert.equal(result.stdout, 'a\n$(id)\n\n')
      assert.equal((await run('cat')).stdout, '')
      const input = noise(5 * MiB)
      const counted = await subject.remote.runOk({ argv: ['sh', '-c', 'wc -c; cat'], input })
      assert.equal(Number(counted), input.length)
    })

    it('does not mind a command that leaves its input unread, or closes its output', async () => {
      const input = noise(MiB)
      assert.equal((await subject.remote.run({ argv: ['true'], input })).code, 0)
      const argv = ['sh', '-c', 'exec <&- >&- 2>&-; exit 3']
      assert.equal((await subject.remote.run({ argv, input })).code, 3)
    })

    it('keeps 5 MiB of output whole', async () => {
      const { stdout } = await sh('head -c 5242880 /dev/zero | tr "\\000" x; printf end')
      assert.equal(stdout.length, 5 * MiB + 3)
      assert.ok(stdout.endsWith('xend'))
    })

    it('keeps the beginning and the end of what is too much, not all of it', async () => {
      const { code, stdout } = await sh(
        'echo first; head -c 20971520 /dev/zero | tr "\\000" x; echo; echo last',
      )
      assert.equal(code, 0)
      assert.ok(stdout.length < 17 * MiB, `${stdout.length} characters kept`)
      assert.ok(stdout.startsWith('first\n') && stdout.endsWith('\nlast\n'))
    })

    it('gives output that is no UTF-8 as text, and goes on', async () => {
      const { stdout } = await sh('printf "a\\377\\200b"')
      assert.match(stdout, /^a\uFFFD+b$/)
    })

    it('tells output while it comes, both streams, no character broken', async () => {
      let heard = ''
      const script = 'i=0; while [ $i -lt 300 ]; do echo "日本 $i"; i=$((i+1)); done; echo 🦆 >&2'
      await subject.remote.run({ argv: ['sh', '-c', script], onOutput: (text) => (heard += text) })
      const lines = heard.trim().split('\n')
      assert.equal(lines.filter((line) => /^日本 \d+$/.test(line)).length, 300)
      assert.equal(lines.filter((line) => line === '🦆').length, 1)
    })

    it('runs two commands at once, each with its own answer', async () => {
      const answers = await Promise.all([1, 2, 3].map((n) => sh(`echo ${n}; exit ${n}`)))
      assert.deepEqual(
        answers.map(({ code, stdout }) => [code, stdout]),
        [1, 2, 3].map((n) => [n, `${n}\n`]),
      )
    })

    it('does not wait for a daemon that a command left behind', async () => {
      const marker = newMarker()
      const argv = ['sh', '-c', `sleep ${marker} & echo started`]
      const { code, stdout } = await subject.remote.run({ argv, timeoutMs: 60_000 })
      assert.deepEqual([code, stdout], [0, 'started\n'])
      const { stdout: ids } = await sh(SLEEPERS, marker)
      await sh('kill -9 "$@"', ...ids.trim().split('\n'))
    })

    it('kills a command that takes too long, with all it started, and goes on', async () => {
      const marker = newMarker()
      const script = `sleep ${marker} & sh -c 'sleep ${marker} & wait' & trap '' TERM; echo begun; while :; do sleep ${marker}; done`
      await assert.rejects(
        subject.remote.run({ argv: ['sh', '-c', script], timeoutMs: 4000 }),
        failsWith('COMMAND_TIMEOUT'),
      )
      assert.equal((await sh(REMAINING_SLEEPERS, marker)).stdout, '')
      assert.equal((await sh('echo usable')).stdout, 'usable\n')
    })

    it('fails with the last lines of output when a command had to succeed', async () => {
      assert.equal(await subject.remote.runOk({ argv: ['echo', 'fine'] }), 'fine\n')
      await assert.rejects(
        subject.remote.runOk({ argv: ['sh', '-c', 'echo out; echo the reason >&2; exit 3'] }),
        (error) =>
          isFailure(error, 'COMMAND_FAILED') &&
          error.message.includes('the reason') &&
          error.details['code'] === 3,
      )
    })
  })
}

/** A number of seconds that no other process of this machine sleeps. */
export function newMarker(): string {
  return String(1_000_000_000 + Math.floor(Math.random() * 1_000_000_000))
}

/** Shell: the ids of all processes whose command line is `sleep $1`. */
const SLEEPERS = `sleepers() {
  for p in /proc/[0-9]*; do
    [ "$(tr '\\000' ' ' <"$p/cmdline")" = "sleep $1 " ] && echo "\${p#/proc/}"
  done
}
exec 2>/dev/null
sleepers "$1"`

/** The same, once there are none, or those that stay: what was killed needs its turn to die. */
const REMAINING_SLEEPERS = `${SLEEPERS} >/dev/null
for second in 1 2 3 4 5; do
  [ -z "$(sleepers "$1")" ] && break
  sleep 1
done
sleepers "$1"
:`
