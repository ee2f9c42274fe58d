import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { type FailureCode, isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { testRemoteContract } from '../testing/remote-contract.ts'
import { type Sshd, type SshdOptions, startSshd, whyNoSshd } from '../testing/sshd.ts'
import { openRemote } from './open-remote.ts'
import type { Remote } from './remote.ts'
import { openSsh, type SshOptions } from './ssh.ts'

const skip = whyNoSshd() ?? false

/** Places where a careless remote would leave something. */
const UNTOUCHED = ['/', '/etc', '/root', '/run', '/tmp', '/var/lib', '/var/tmp']

/** Runs the contract suite on a host of its own, as root or as a user who may use sudo. */
function testHost(
  name: string,
  user: 'root' | 'joe',
  end: 'interrupt' | 'cut',
  options: SshdOptions = {},
): void {
  if (skip !== false) return void it(`${name} keeps the remote contract`, { skip }, () => {})
  let sshd: Sshd | undefined
  after(async () => await sshd?.[Symbol.asyncDispose]())
  testRemoteContract(
    name,
    async () => {
      sshd = await startSshd({ ...options, users: { joe: { sudo: 'free' } } })
      const stop = new AbortController()
      const context = makeContext({ signal: stop.signal })
      const driver = await openSsh({ ...sshd.login(user), become: true }, context)
      return {
        remote: openRemote(driver, context),
        base: '/var/lib/remote contract',
        untouched: UNTOUCHED,
        ...(end === 'cut' ? { cut: sshd.cut } : { interrupt: () => stop.abort() }),
      }
    },
    { writable: true, runs: true },
  )
}

testHost('a host where we log in as root', 'root', 'interrupt')
testHost(
  'a busybox host where we become root, with chatty logins and sudo in a terminal',
  'joe',
  'cut',
  {
    shell: 'busybox',
    prepare: `
    printf 'Defaults use_pty, lecture=always\\n' > /etc/sudoers.d/pty
    for f in /root/.bashrc /home/joe/.bashrc; do
      { echo 'echo noise from a login script; echo more >&2'; cat $f; } > /tmp/rc && cp /tmp/rc $f
    done
    rm /tmp/rc`,
  },
)

const open = async (options: SshOptions): Promise<Remote> => {
  const context = makeContext()
  return openRemote(await openSsh(options, context), context)
}
/** The Failure that opening ends with: its code, its message and what to do. */
const refusal = async (options: SshOptions, code: FailureCode) => {
  const context = makeContext()
  const error: unknown = await openSsh(options, context).then(
    async (driver) => await driver[Symbol.asyncDispose](),
    (error: unknown) => error,
  )
  assert.ok(isFailure(error, code), String(error))
  return `${error.message} FIX ${error.fix}`
}

describe('a host over SSH', { skip }, () => {
  let sshd: Sshd
  before(async () => {
    sshd = await startSshd({
      users: {
        joe: { sudo: 'free' },
        ann: { sudo: 'password' },
        tim: { sudo: 'tty' },
        bob: { sudo: 'none' },
        eve: { sudo: 'free', shell: '/usr/sbin/nologin' },
      },
      config: ['MaxSessions 2'],
    })
  })
  after(async () => await sshd[Symbol.asyncDispose]())

  it('is called as the user called it, aliases and all', async () => {
    await using remote = await open({ destination: 'the-host', configFile: sshd.configFile })
    assert.equal(remote.name, 'the-host')
    assert.equal((await remote.runOk({ argv: ['id', '-u'] })).trim(), '0')
  })

  it('takes its key and known hosts by name too', async () => {
    const { identityFile, knownHostsFile, port } = sshd
    const destination = `root@127.0.0.1:${port}`
    await using remote = await open({
      destination,
      identityFile,
      knownHostsFile,
      configFile: 'none',
    })
    assert.equal(await remote.exists('/etc/passwd'), true)
  })

  it('may have bash for its shell', async () => {
    await using bash = await startSshd({ shell: 'bash' })
    await using remote = await open(bash.login())
    const env = { LINES: "a\n'b'\n\n", UID: '5' }
    const words = ['-n', '', "it's\n", '$HOME']
    const argv = ['printf', '<%s>', ...words]
    assert.equal(
      (await remote.run({ argv, env: { X: 'x' } })).stdout,
      words.map((w) => `<${w}>`).join(''),
    )
    const shown = await remote.run({ argv: ['env'], env: { LINES: env.LINES } })
    assert.ok(shown.stdout.includes(`LINES=${env.LINES}`))
    assert.notEqual((await remote.run({ argv: ['true'], env })).code, 0) // UID is bash's own
    await remote.writeFile('/tmp/a b', "it's\n\n")
    assert.equal(await remote.readText('/tmp/a b'), "it's\n\n")
    assert.equal((await remote.stat('/tmp/a b'))?.size, 6)
    await assert.rejects(
      remote.run({ argv: ['sh', '-c', 'trap "" TERM; sleep 1000017'], timeoutMs: 500 }),
      failsWith('COMMAND_TIMEOUT'),
    )
    assert.equal(await bash.inside('pgrep -f [1]000017 || :'), '')
  })

  it('goes through a jump host', async () => {
    await using remote = await open({ ...sshd.login(), extra: ['ProxyJump=the-host'] })
    assert.equal((await remote.run({ argv: ['true'] })).code, 0)
  })

  it('is not reachable where nobody listens or no name leads', async () => {
    const { configFile } = sshd
    const closed = await refusal(
      { destination: 'root@127.0.0.1:1', configFile },
      'REMOTE_UNREACHABLE',
    )
    assert.match(closed, /127\.0\.0\.1:1: .*Connection refused FIX .*ssh -p 1 root@127\.0\.0\.1/)
    await refusal({ destination: 'no-such-host.invalid', configFile }, 'REMOTE_UNREACHABLE')
  })

  it('is refused without a key it accepts, with what to try', async () => {
    const wrong = `${sshd.identityFile}-wrong`
    await writeFile(wrong, 'not a key\n', { mode: 0o600 })
    const extra = [`IdentityFile=${wrong}`, 'IdentitiesOnly=yes', 'IdentityAgent=none']
    const { destination } = sshd.login()
    const { knownHostsFile } = sshd
    const said = await refusal(
      { destination, configFile: 'none', knownHostsFile, extra },
      'REMOTE_DENIED',
    )
    assert.match(said, /no key was accepted for root FIX .*ssh-add/)
  })

  it('is not trusted with a host key that is unknown or another', async () => {
    const { configFile, knownHostsFile, port } = sshd
    const { destination } = sshd.login()
    const empty = `${knownHostsFile}-empty`
    await writeFile(empty, '')
    const unknown = { destination, configFile, knownHostsFile: empty }
    assert.match(await refusal(unknown, 'REMOTE_UNTRUSTED'), /not known here FIX Log in once/)
    const other = `${knownHostsFile}-other`
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3vNWbSbTzhDkRtpIv8xFIQwfy8bGXQ5sfBHmdDSWJi'
    await writeFile(other, `[127.0.0.1]:${port} ${key}\n`)
    const changed = await refusal(
      { destination, configFile, knownHostsFile: other },
      'REMOTE_UNTRUSTED',
    )
    assert.match(changed, new RegExp(`not the one it is known by FIX .*'\\[127.0.0.1\\]:${port}'`))
  })

  it('needs root: a user must be told to become it', async () => {
    assert.match(
      await refusal(sshd.login('joe'), 'NEEDS_ROOT'),
      /joe is not root there FIX Say --become/,
    )
  })

  it('says why sudo did not work', async () => {
    const become = (user: string) => refusal({ ...sshd.login(user), become: true }, 'REMOTE_DENIED')
    assert.match(await become('ann'), /wants a password from ann FIX .*ann ALL=\(ALL\) NOPASSWD/)
    assert.match(await become('tim'), /wants a terminal from tim .* FIX .*tim !requiretty/)
    assert.match(await become('bob'), /bob/)
    await sshd.inside('mv /usr/bin/sudo /usr/bin/hidden')
    assert.match(await become('joe'), /there is no sudo FIX Install sudo/)
    await sshd.inside('mv /usr/bin/hidden /usr/bin/sudo')
  })

  it('says so when logging in gives no shell', async () => {
    const said = await refusal({ ...sshd.login('eve'), become: true }, 'REMOTE_DENIED')
    assert.match(said, /gave no shell: This account is currently not available/)
  })

  it('does with one session at a time where a host allows no more', async () => {
    await using remote = await open(sshd.login())
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((word) => remote.runOk({ argv: ['echo', word] })),
    )
    assert.deepEqual(answers, ['a\n', 'b\n', 'c\n'])
  })

  it('keeps words, environment and input of a command out of process lists and sudo log', async () => {
    await sshd.inside('echo "Defaults logfile=/var/log/sudo.log" > /etc/sudoers.d/log')
    await using remote = await open({ ...sshd.login('joe'), become: true })
    await remote.run({
      argv: ['sh', '-c', 'ps axww > /tmp/seen; : secret-word'],
      env: { KEY: 'secret-value' },
      input: 'secret-input',
    })
    await remote.writeFile('/tmp/file', 'secret-content')
    assert.doesNotMatch(await sshd.inside('cat /var/log/sudo.log'), /secret/)
    assert.doesNotMatch(await sshd.inside('grep -v "sh -c ps axww" /tmp/seen'), /secret/)
    assert.match(await sshd.inside('cat /var/log/sudo.log'), /joe .*COMMAND=/)
  })

  it('writes no file that the connection was lost over', async () => {
    const remote = await open(sshd.login())
    await remote.writeFile('/tmp/kept', 'old')
    // a cat that waits to be cut off, in the middle of the file
    await sshd.inside(`cat > /usr/local/bin/cat <<'END'
#!/bin/sh
rm /usr/local/bin/cat
head -c 1000
touch /tmp/now
sleep 100
exec cat
END
chmod +x /usr/local/bin/cat`)
    const writing = remote.writeFile('/tmp/kept', 'x'.repeat(1_000_000))
    const cut = sshd.inside('until [ -e /tmp/now ]; do sleep 0.02; done').then(sshd.cut)
    await assert.rejects(writing, failsWith('REMOTE_LOST'))
    await cut
    await remote[Symbol.asyncDispose]()
    await sshd.inside('while ls -A /tmp | grep -q ingot; do sleep 0.02; done')
    assert.equal(await sshd.inside('cat /tmp/kept; ls -A /tmp | grep ingot || :'), 'old')
  })

  it('ends what runs there when it is closed', async () => {
    const remote = await open(sshd.login())
    const begun = Promise.withResolvers<void>()
    const running = remote.run({
      argv: ['sh', '-c', 'echo begun; sleep 4000017'],
      onOutput: () => begun.resolve(),
    })
    await begun.promise
    const lost = assert.rejects(running, failsWith('REMOTE_LOST'))
    await remote[Symbol.asyncDispose]()
    await lost
    assert.equal(await sshd.inside('pgrep -f [4]000017 || :'), '')
  })
})
