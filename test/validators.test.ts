/**
 * Every validator on a real Debian: applied once, held after, and seen to be so by reading alone and
 * by Debian's own tools; then the clean-up of what came of it.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeContext } from '../src/base/context.ts'
import { cleanGuest, lintGuest } from '../src/guests/clean.ts'
import { builtinValidators } from '../src/app/builtin.ts'
import { dpkg } from '../src/guests/dpkg.ts'
import { leavesOf, type Verdict } from '../src/recipes/report.ts'
import { runRecipe } from '../src/recipes/run-recipe.ts'
import type { Mode } from '../src/recipes/validator.ts'
import { openRemote } from '../src/remotes/open-remote.ts'
import type { Remote } from '../src/remotes/remote.ts'
import { openTree } from '../src/remotes/sandbox.ts'
import { hostUplink } from '../src/remotes/uplink.ts'
import { layDebianTree, removeDebianTree, whyNoDebianTree } from '../src/testing/debian-tree.ts'
import { parseSteps } from '../src/testing/recipe-bench.ts'
import { openWebServer, type WebServer } from '../src/testing/web-server.ts'

const skip = (await whyNoDebianTree()) ?? false
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHd0x5wmcZrXrqzUN3j0aXoNCp6mR1FJQm3r8nFvUZ0V'
const HELLO = '#!/bin/sh\necho hello\n'
const resources = {
  'site.conf': 'port {{ port }}\n',
  'archive.asc':
    '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n',
  'there.sh':
    '#!/bin/bash\n[[ -e /etc/there ]] && exit 0\n[ "$test_only" = 0 ] && touch /etc/there\n',
}

/** One step of every kind, and of those with two sides both. */
const stepsFor = (server: string) =>
  `
- package: [openssh-server, locales, ssl-cert, bzip2]
- package: {jq: {version: "1.*"}}
- script: there.sh
- all:
    - group: {name: storage, gid: 1990, system: true}
    - any:
        - user: nobody-there-yet
        - user: root
- os_case:
    - redhat: [{package: httpd}]
    - debian: [{directory: {path: /srv/data, owner: daemon, mode: "2750"}}]
- argument_case: {argument_name: port, cases: {"80": [{argument_set: {argument_name: made, value: yes}}]}}
- file: {path: /etc/site.conf, template_source: site.conf, group: daemon, mode: "0640"}
- file: {path: /etc/issue.net, absent: true}
- line: {path: /etc/ssh/sshd_config, pattern: "^#?PermitRootLogin\\\\b", line: PermitRootLogin no}
- user: {name: ann, uid: 1500, groups: [storage, sudo-users], comment: "Ann; rm -rf /", shell: /bin/bash}
- user: {name: games, absent: true}
- user: {name: app, system: true, home: /srv/app, password_hash: "$6$salt$hash"}
- authorized_key: {user: ann, key: "${KEY} ann"}
- service: {name: ssh, enabled: true}
- service: {name: apt-daily.timer, enabled: false}
- service: {name: systemd-timesyncd, masked: true}
- repository: {name: tools, url: "https://packages.example.org/debian", key_source: archive.asc}
- download: {url: "${server}/hello", sha256: ${digest(HELLO)}, to: /usr/local/bin/hello, mode: "0755"}
- command: {run: "hello > /srv/data/hello", creates: /srv/data/hello}
- command: {run: [touch, "/srv/a b"], unless: 'test -e "/srv/a b"', user: root, directory: /srv}
- hostname: web.example.org
- timezone: Europe/Berlin
- locale: de_DE.UTF-8
- sysctl: {vm.swappiness: 10, net.ipv4.tcp_rmem: "4096 87380 6291456"}
- line: {path: /etc/default/grub, line: GRUB_CMDLINE_LINUX_DEFAULT="quiet"}
- kernel_argument: {name: net.ifnames, value: "0"}`.replace(
    '- user: {name: ann',
    '- group: sudo-users\n- user: {name: ann',
  )

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** What is to be said of the verdicts, but those with these statuses. */
const told = (verdicts: readonly Verdict[], ...but: string[]) =>
  verdicts
    .filter(({ status }) => !but.includes(status))
    .map(({ title, status, message, differences }) => ({ title, status, message, differences }))

describe('every validator, on a real Debian', { skip, timeout: 540_000 }, () => {
  let directory: string
  let server: WebServer
  let remote: Remote
  /** The same guest, by a remote that can only read. */
  let reader: Remote

  before(async () => {
    const context = makeContext()
    directory = await mkdtemp(join(tmpdir(), 'ingot-validators-'))
    const root = join(directory, 'root')
    const { launcher: userNamespace } = await layDebianTree(root)
    const scratch = join(directory, 'scratch')
    await mkdir(scratch)
    const driver = await openTree({ root, network: hostUplink, scratch, userNamespace }, context)
    remote = openRemote(driver, context)
    const { run: _run, writeFile: _write, ...reading } = driver
    reader = openRemote({ ...reading, [Symbol.asyncDispose]: async () => {} }, context)
    server = await openWebServer({ '/hello': HELLO })
  })
  after(async () => {
    await remote?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
    await removeDebianTree(join(directory, 'root'))
    await rm(directory, { recursive: true, force: true })
  })

  const run = async (mode: Mode, on = remote): Promise<Verdict[]> => {
    const values = { port: '80' }
    const recipe = parseSteps(stepsFor(server.url), { resources, values })
    const options = {
      mode,
      values: new Map(Object.entries(values)),
      cacheDir: join(directory, 'cache'),
    }
    return leavesOf((await runRecipe(recipe, on, options, makeContext())).verdicts)
  }
  /** What a script prints; sshd wants a directory that it has on a machine that runs. */
  const say = async (script: string) =>
    (await remote.run({ argv: ['bash', '-c', `mkdir -p /run/sshd; ${script}`] })).stdout.trim()

  it('is there to be tried', () => {
    const tried = new Set(
      [...stepsFor('x').matchAll(/(?:- |\[)\{?([a-z_]+):/g)].map(([, name]) => name),
    )
    const names = builtinValidators.map(({ name }) => name)
    assert.deepEqual(
      names.filter((name) => !tried.has(name) && name !== 'copy_script'),
      [],
    )
  })

  it('differs in test-only, and nothing is changed', async () => {
    const verdicts = await run('test-only')
    assert.ok(verdicts.some(({ status }) => status === 'differs'))
    assert.equal(await remote.exists('/etc/there'), false)
    assert.equal(await remote.exists('/usr/bin/jq'), false)
  })

  it('is applied', async () => {
    assert.deepEqual(told(await run('reconcile'), 'changed', 'held'), [])
  })

  it('holds when it is applied again: nothing but scripts is done', async () => {
    const again = await run('reconcile')
    assert.deepEqual(
      told(again, 'held').map(({ title }) => title),
      ['script there.sh'],
    )
  })

  it('is seen to hold by reading alone, where that can tell', async () => {
    const verdicts = await run('test-only', reader)
    assert.deepEqual(told(verdicts, 'held', 'unknown'), [])
    assert.deepEqual(
      told(verdicts, 'held').map(({ title, status }) => `${title}: ${status}`),
      ['script there.sh: unknown', 'command touch /srv/a b: unknown'],
    )
  })

  it('is so in the eyes of Debian’s own tools', async () => {
    const asked = await say("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n'")
    const read = await dpkg.readInstalled(reader)
    assert.deepEqual(
      read.map(({ name, version }) => `installed ${name} ${version}`).sort(),
      asked
        .split('\n')
        .filter((line) => line.startsWith('installed '))
        .sort(),
    )
    assert.match(
      await say('dpkg-query -W -f "\\${db:Status-Abbrev} \\${Version}" jq'),
      /^ii {2}1\./,
    )
    assert.equal(
      await say('id ann'),
      'uid=1500(ann) gid=1500(ann) groups=1500(ann),1990(storage),' +
        (await say('getent group sudo-users | cut -d: -f3')) +
        '(sudo-users)',
    )
    assert.equal(
      await say('getent passwd ann'),
      'ann:x:1500:1500:Ann; rm -rf /:/home/ann:/bin/bash',
    )
    assert.equal(await say('id games 2>&1 | tail -c 13'), 'no such user')
    assert.equal(await say('passwd -S ann | cut -d" " -f2; passwd -S app | cut -d" " -f2'), 'L\nP')
    assert.equal(
      await say('stat -c "%a %U %G" /srv/data /etc/site.conf /home/ann/.ssh'),
      '2750 daemon root\n640 root daemon\n700 ann ann',
    )
    assert.equal(
      await say('systemctl --root=/ is-enabled ssh apt-daily.timer systemd-timesyncd'),
      'enabled\ndisabled\nmasked',
    )
    assert.match(await say('sshd -T'), /^permitrootlogin no$/m)
    assert.equal(
      await say('runuser -u ann -- ssh-keygen -lf /home/ann/.ssh/authorized_keys | wc -l'),
      '1',
    )
    assert.match(
      await say('apt-get indextargets --no-release-info --format "\\$(REPO_URI)"'),
      /packages\.example\.org\/debian/,
    )
    assert.match(await say('locale -a'), /^de_DE\.utf8$/m)
    assert.match(
      await say('. /etc/default/locale; LC_ALL=$LANG date +%A -d 2024-01-01'),
      /^Montag$/,
    )
    assert.equal(await say('date +%Z -d 2024-07-01'), 'CEST')
    assert.match(await say('getent hosts web'), /^127\.0\.1\.1\s+web\.example\.org web$/)
    assert.equal(await say('. /etc/default/grub; echo $GRUB_CMDLINE_LINUX'), 'net.ifnames=0')
    assert.equal(await say('hello; cat /srv/data/hello'), 'hello\nhello')
  })

  it('leaves what the clean-up takes out, and lint finds nothing after', async () => {
    const before = await lintGuest(reader)
    for (const task of [
      'ssh-host-keys',
      'certificates',
      'logs',
      'package-caches',
      'package-lists',
      'backups',
    ])
      assert.ok(
        before.some((finding) => finding.task === task),
        task,
      )
    const report = await cleanGuest(remote, {}, makeContext())
    assert.deepEqual(report.left, [])
    assert.deepEqual(await lintGuest(reader), [])
    assert.match(await say('sshd -t 2>&1'), /no hostkeys available/)
    for (const unit of ['ingot-ssh-host-keys.service', 'ingot-snakeoil-certificate.service']) {
      await remote.runOk({ argv: ['systemctl', '--root=/', 'is-enabled', unit] })
      const text = (await remote.readText(`/etc/systemd/system/${unit}`)) ?? ''
      await remote.runOk({ argv: (/^ExecStart=(.*)$/m.exec(text)?.[1] ?? '').split(' ') })
    }
    assert.equal(await say('sshd -t 2>&1'), '')
    assert.deepEqual(
      [...new Set((await lintGuest(reader)).map(({ task }) => task))],
      ['ssh-host-keys', 'certificates'],
    )
  })
})
