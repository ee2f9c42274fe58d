/** `ingot provision` and `ingot validate --ssh` as processes, on hosts that are thrown away. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runProcess, startProcess } from '../src/base/process.ts'
import { type Sshd, startSshd, whyNoSshd } from '../src/testing/sshd.ts'

const INGOT = join(import.meta.dirname, '../ingot')

const SITE = `
arguments:
  greeting: {default: hello}
  token: {secret: true, required: true}
validators:
  - package: [bash, coreutils]
  - user: {name: site, home: /srv/site}
  - directory: {path: /srv/site/pages, owner: site}
  - file: {path: /srv/site/pages/index, template: "{{ greeting }}", owner: site, mode: "0640"}
  - line: {path: /etc/environment, pattern: "^SITE=", line: SITE=yes}
  - script:
      seal:
        inline: |
          grep -q "$token" /srv/site/seal 2>/dev/null && exit 0
          [ "$test_only" = 0 ] || exit 1
          ps axww > /srv/site/seen-by-ps
          echo "$token" > /srv/site/seal
        env_vars: [token]
`
/** Tells that it has begun, then waits until it is told to end. */
const SLOW = `
validators:
  - directory: /srv/first
  - script:
      wait:
        inline: |
          [ -e /srv/go ] && exit 0
          [ "$test_only" = 0 ] || exit 1
          echo $$ > /srv/began
          sleep 3000017
  - directory: /srv/last
`

/** The options that name a host, for one of its users. */
const on = (sshd: Sshd, user = 'root') =>
  ['--ssh', `${user}@127.0.0.1:${sshd.port}`].concat('--ssh-config', sshd.configFile)

const run = async (argv: readonly string[], env: Record<string, string> = {}) => {
  const result = await runProcess(argv, {
    env: { ...(process.env as Record<string, string>), ...env },
  })
  return { code: result.code, out: String(result.stdout), err: String(result.stderr) }
}

/** Returns once no script of the slow recipe runs on the host. */
const nothingRuns = (sshd: Sshd) =>
  sshd.inside('while pgrep -f "sleep [3]000017" >/dev/null; do sleep 0.05; done')

describe('provisioning hosts', { skip: whyNoSshd() ?? false }, () => {
  let directory: string
  let temporary: string
  let one: Sshd
  let two: Sshd
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-provision-test-'))
    temporary = join(directory, 'tmp')
    await mkdir(temporary)
    await writeFile(join(directory, 'site.yaml'), SITE)
    await writeFile(join(directory, 'slow.yaml'), SLOW)
    ;[one, two] = await Promise.all([startSshd({ users: { joe: { sudo: 'free' } } }), startSshd()])
  })
  after(async () => {
    await Promise.all([one?.[Symbol.asyncDispose](), two?.[Symbol.asyncDispose]()])
    await rm(directory, { recursive: true, force: true })
  })

  const words = (verb: string, recipe: string, ...rest: string[]) =>
    [INGOT, verb, join(directory, `${recipe}.yaml`)].concat(rest)
  const token = { INGOT_ARG_token: 'a-secret-token' }

  it('brings a host to the state of the recipe, and a second time finds nothing to do', async () => {
    const before = await run(words('validate', 'site', ...on(one)), token)
    assert.equal(before.code, 4, before.err)
    const file = join(directory, 'token')
    await writeFile(file, 'a-secret-token\n')
    const rest = [...on(one), '--greeting', 'good day', '--token-file', file]
    const first = await run(words('provision', 'site', ...rest))
    assert.equal(first.code, 0, first.err + first.out)
    assert.match(first.out, /✓ site on root@127\.0\.0\.1:\d+: 1 as it should be, 5 changed/)
    assert.equal(await one.inside('cat /srv/site/pages/index'), 'good day')
    assert.equal(
      await one.inside('stat -c "%U %a" /srv/site/pages/index; grep SITE= /etc/environment'),
      'site 640\nSITE=yes\n',
    )
    const second = await run(words('provision', 'site', ...rest))
    assert.match(second.out, /5 as it should be, 1 changed/)
    const validate = await run(words('validate', 'site', ...rest))
    assert.equal(validate.code, 0, validate.out)
  })

  it('shows a secret to nobody: not in its output, not on a command line there', async () => {
    assert.equal(await one.inside('cat /srv/site/seal'), 'a-secret-token\n')
    assert.doesNotMatch(await one.inside('cat /srv/site/seen-by-ps'), /a-secret-token/)
    const { out, err } = await run(
      words('validate', 'site', ...on(one), '--json', '--set', 'greeting=good day', '-v'),
      token,
    )
    assert.match(out, /"token":"\*\*\*"/)
    assert.doesNotMatch(out + err, /a-secret-token/)
  })

  it('finds what has drifted, and changes nothing when it only looks', async () => {
    await one.inside('echo drifted > /srv/site/pages/index; chmod 600 /srv/site/pages/index')
    const rest = [...on(one), '--greeting', 'good day']
    const { code, out } = await run(words('validate', 'site', ...rest), token)
    assert.equal(code, 4)
    assert.match(out, /wanted 0640, found 0600/)
    assert.equal(await one.inside('cat /srv/site/pages/index'), 'drifted\n')
    assert.equal((await run(words('provision', 'site', ...rest), token)).code, 0)
    assert.equal(await one.inside('cat /srv/site/pages/index'), 'good day')
  })

  it('works on several hosts, one of which is not there, and sums up', async () => {
    const report = join(directory, 'report.json')
    const junit = join(directory, 'report.xml')
    const hosts = [...on(two), '--ssh', 'root@127.0.0.1:1', '--jobs', '2']
    const { code, out } = await run(words('provision', 'site', ...hosts, '--report', report), token)
    assert.equal(code, 1)
    assert.match(out, /Connection refused/)
    assert.match(out, /2 hosts: 1 as the recipe says, 1 not: root@127\.0\.0\.1:1/)
    const reports = JSON.parse(await readFile(report, 'utf8')) as { ok: boolean }[]
    assert.deepEqual(
      reports.map(({ ok }) => ok),
      [true, false],
    )
    await run(words('validate', 'site', ...hosts, '--report', junit), token)
    const xml = await readFile(junit, 'utf8')
    assert.match(
      xml,
      /<testsuite name="site on root@127\.0\.0\.1:1" tests="1" failures="0" errors="1"/,
    )
  })

  it('becomes root by sudo when it is told to, and says so when it should be', async () => {
    const joe = on(two, 'joe')
    const other = await run(words('validate', 'site', ...joe), token)
    assert.equal(other.code, 1)
    assert.match(other.out, /no key was accepted for joe/)
    const plain = await run(words('validate', 'site', ...on(one, 'joe')), token)
    assert.equal(plain.code, 1)
    assert.match(plain.out, /joe is not root there\n.*Say --become/)
    const env = { ...token, INGOT_ARG_greeting: 'good day' }
    const become = await run(words('provision', 'site', ...on(one, 'joe'), '--become'), env)
    assert.equal(become.code, 0, become.out)
  })

  it('is refused without the right key, and says what to try', async () => {
    const { code, out } = await run(
      words('provision', 'site', ...on(one), '--identity', join(directory, 'no-such-key')).concat(
        '--ssh-option',
        'IdentityFile=none',
        '--ssh-config',
        'none',
        '--ssh-option',
        `UserKnownHostsFile=${one.knownHostsFile}`,
      ),
      token,
    )
    assert.equal(code, 1)
    assert.match(out, /no key was accepted for root, and .*no-such-key/)
    assert.match(out, /ssh-add/)
  })

  /** Starts provisioning the slow recipe; resolves when its script waits. */
  const startSlow = async (sshd: Sshd) => {
    await sshd.inside('rm -rf /srv/began /srv/go /srv/first /srv/last')
    const child = startProcess(words('provision', 'slow', ...on(sshd)), {
      env: { ...(process.env as Record<string, string>), TMPDIR: temporary },
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    await sshd.inside('until [ -e /srv/began ]; do sleep 0.05; done')
    return { child, ended, said: () => said }
  }
  it('says that the connection was lost half-way, and the next run goes on', async () => {
    const { ended, said } = await startSlow(one)
    await one.cut()
    assert.equal(await ended, 1)
    assert.match(said(), /root@127\.0\.0\.1:\d+: .*(closed|reset|lost)/i)
    assert.match(said(), /not reached/)
    await nothingRuns(one)
    assert.equal(await one.inside('ls -d /srv/first /srv/last 2>/dev/null || :'), '/srv/first\n')
    await one.inside('touch /srv/go')
    const again = await run(words('provision', 'slow', ...on(one)))
    assert.equal(again.code, 0, again.out)
    assert.match(again.out, /1 as it should be, 2 changed/)
  })

  it('stops at Ctrl-C, and leaves nothing, here or there', async () => {
    const { child, ended } = await startSlow(one)
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    await nothingRuns(one)
    await one.inside('while ls -A /tmp /run | grep -q ingot; do sleep 0.05; done')
    assert.deepEqual(await readdir(temporary), [])
  })

  it('leaves nothing running there when it is killed', async () => {
    const { child, ended } = await startSlow(one)
    child.kill('SIGKILL')
    await ended
    await nothingRuns(one)
    // the socket's directory is taken away by whoever comes next
    assert.equal((await readdir(temporary)).length, 1)
    await one.inside('touch /srv/go')
    const next = await run(words('provision', 'slow', ...on(one)), { TMPDIR: temporary })
    assert.equal(next.code, 0, next.out)
    assert.deepEqual(await readdir(temporary), [])
  })

  it('gives up a step that takes too long', async () => {
    await one.inside('rm -f /srv/go')
    const { code, out } = await run(words('provision', 'slow', ...on(one), '--step-timeout', '1s'))
    assert.equal(code, 1)
    assert.match(out, /did not end within 1 s/)
    await nothingRuns(one)
  })

  it('takes this host for one, too', async () => {
    await writeFile(join(directory, 'local.yaml'), 'validators: [{package: coreutils}]')
    const { code, out, err } = await run(words('validate', 'local', '--local', '--json'))
    assert.equal(code, 0, err)
    assert.match(out, /"via":"local"/)
  })

  it('takes no wrong use for a host', async () => {
    for (const rest of [
      [],
      ['--ssh', '-oProxyCommand=id'],
      ['--ssh', 'a', '--ssh', 'a'],
      ['--ssh', 'a', '--jobs', '0'],
    ])
      assert.equal((await run(words('provision', 'site', ...rest), token)).code, 2, rest.join(' '))
    const both = await run(words('validate', 'site', '--ssh', 'a', '--image', 'b'), token)
    assert.equal(both.code, 2)
    const plan = await run(words('provision', 'site', '--plan'), token)
    assert.equal(plan.code, 0, plan.err)
  })
})
