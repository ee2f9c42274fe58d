import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote, type RemoteScript } from '../testing/scripted-remote.ts'
import { cleanTasks } from './clean-tasks.ts'
import { cleanAndLint, cleanGuest, lintGuest } from './clean.ts'

const context = makeContext()

/** A file for every kind of leftover, by the task that must find it. */
const LEFTOVERS: Readonly<Record<string, readonly string[]>> = {
  'machine-id': ['/etc/machine-id', '/var/lib/dbus/machine-id'],
  'ssh-host-keys': ['/etc/ssh/ssh_host_rsa_key', '/etc/ssh/ssh_host_rsa_key.pub'],
  certificates: ['/etc/ssl/private/ssl-cert-snakeoil.key', '/etc/pki/tls/private/localhost.key'],
  'random-seed': ['/var/lib/systemd/random-seed', '/boot/efi/loader/random-seed'],
  'storage-ids': ['/etc/nvme/hostid', '/etc/iscsi/initiatorname.iscsi'],
  enrolments: ['/etc/krb5.keytab', '/etc/pki/consumer/key.pem'],
  'cloud-init': ['/var/lib/cloud/instances', '/etc/netplan/50-cloud-init.yaml'],
  leases: ['/var/lib/dhcp/dhclient.eth0.leases', '/var/lib/NetworkManager/secret_key'],
  'network-rules': ['/etc/udev/rules.d/70-persistent-net.rules'],
  resolver: ['/etc/resolv.conf'],
  'package-caches': ['/var/cache/apt/pkgcache.bin', '/var/cache/apt/archives/jq_1.6_amd64.deb'],
  'package-lists': ['/var/lib/apt/lists/mirror_Packages', '/var/lib/apt/lists/partial/x'],
  history: ['/root/.bash_history', '/home/ann/.viminfo', '/home/ann/.ssh/known_hosts'],
  backups: ['/etc/shadow-', '/etc/issue.dpkg-old', '/var/lib/dpkg/status-old'],
  caches: ['/var/cache/ldconfig/aux-cache'],
  mail: ['/var/mail/root'],
  'crash-dumps': ['/var/crash/_usr_bin_x.crash'],
  'temporary-files': ['/tmp/.hidden', '/tmp/with space', '/var/tmp/x'],
  hostname: ['/etc/hostname'],
  'authorized-keys': ['/root/.ssh/authorized_keys'],
  logs: ['/var/log/journal/0123', '/var/log/dpkg.log', '/var/log/nginx/access.log.1'],
}
const CONTENTS: Readonly<Record<string, string>> = {
  '/etc/iscsi/initiatorname.iscsi': 'InitiatorName=iqn.1993-08.org.debian:01:abc\n',
  '/etc/resolv.conf': '# made by hand\nnameserver 192.0.2.1\n',
}
const KEPT = {
  '/etc/passwd': 'root',
  '/var/lib/cloud/seed/nocloud/meta-data': 'x',
  '/var/lib/apt/lists/lock': '',
  '/var/cache/apt/archives/lock': '',
  '/var/log/empty.log': '',
  '/root/.bashrc': 'x',
  '/home/ann/.ssh/config': 'x',
}
const dirty = Object.fromEntries(
  Object.values(LEFTOVERS)
    .flat()
    .map((path) => [path, CONTENTS[path] ?? 'left over\n']),
)
const also = cleanTasks.filter(({ optional }) => optional).map(({ name }) => name)
const SSHD = { '/usr/sbin/sshd': 'x', '/usr/lib/systemd/systemd': 'x' }

function open(files: RemoteScript['files'], script: RemoteScript = {}) {
  const scripted = makeScriptedRemote({ ...script, files: files ?? {} })
  return { ...scripted, remote: openRemote(scripted.driver, context) }
}

describe('lint', () => {
  it('finds every kind of leftover, by name, and changes nothing', async () => {
    const { remote, changes } = open({ ...dirty, ...KEPT })
    const findings = await lintGuest(remote, { also })
    for (const [task, paths] of Object.entries(LEFTOVERS))
      assert.deepEqual(
        findings.filter((one) => one.task === task).map(({ path }) => path),
        paths,
        task,
      )
    assert.equal(findings.length, Object.keys(dirty).length)
    assert.deepEqual(changes(), [])
  })

  it('tries every task there is', () => {
    assert.deepEqual(
      cleanTasks.map(({ name }) => name),
      Object.keys(LEFTOVERS),
    )
  })

  it('leaves out what is to be kept, and what is off by itself', async () => {
    const { remote } = open(dirty)
    const tasks = (await lintGuest(remote, { keep: ['logs'] })).map(({ task }) => task)
    assert.equal(tasks.includes('logs'), false)
    assert.equal(tasks.includes('authorized-keys'), false)
    assert.equal(tasks.includes('mail'), true)
  })

  it('refuses the name of a task that there is not', async () => {
    await assert.rejects(lintGuest(open({}).remote, { keep: ['log'] }), (error: Error) => {
      assert.match(error.message, /did you mean 'logs'/)
      return failsWith('USAGE')(error)
    })
  })

  it('finds nothing in a guest that has nothing', async () => {
    assert.deepEqual(await lintGuest(open({ ...KEPT, '/etc/machine-id': '' }).remote), [])
  })
})

describe('clean-up', () => {
  it('takes out all that lint finds, and nothing else', async () => {
    const { remote, files, commands } = open({ ...dirty, ...KEPT })
    const report = await cleanAndLint(remote, { also }, context)
    assert.deepEqual(
      Object.fromEntries(report.tasks.map(({ name, paths }) => [name, paths])),
      LEFTOVERS,
    )
    for (const [path, content] of Object.entries(KEPT))
      assert.equal(Buffer.from(files.read(path) ?? 'gone').toString(), content, path)
    assert.deepEqual(commands(), [])
    assert.deepEqual((await cleanGuest(remote, { also }, context)).left, [])
  })

  it('changes nothing the second time', async () => {
    const { remote, changes } = open({ ...dirty, ...KEPT, ...SSHD })
    await cleanGuest(remote, { also }, context)
    const before = changes().length
    await cleanGuest(remote, { also }, context)
    assert.equal(changes().length, before)
  })

  it('leaves an empty machine id, which systemd fills at first boot, and dbus a link to it', async () => {
    const { remote, files } = open(dirty)
    await cleanGuest(remote, {}, context)
    assert.equal(files.read('/etc/machine-id')?.length, 0)
    assert.equal(files.stat('/var/lib/dbus/machine-id')?.target, '/etc/machine-id')
  })

  it('empties logs in use without changing owner and mode', async () => {
    const { remote, files } = open({ '/var/log/btmp': 'x' })
    files.setAttributes('/var/log/btmp', { mode: 0o660, gid: 43 })
    await cleanGuest(remote, {}, context)
    const { size, mode, gid } = files.stat('/var/log/btmp')!
    assert.deepEqual({ size, mode, gid }, { size: 0, mode: 0o660, gid: 43 })
  })

  it('refuses a running host', async () => {
    const { remote } = open({}, { place: 'host', answers: [] })
    await assert.rejects(cleanGuest(remote, {}, context), failsWith('REMOTE_CANNOT'))
  })

  it('leaves the resolver of a guest alone that is a link', async () => {
    const { remote, files } = open({ '/run/resolv': 'nameserver 192.0.2.1\n' })
    files.link('/etc/resolv.conf', '/run/resolv')
    assert.deepEqual(await lintGuest(remote), [])
  })
})

describe('SSH host keys', () => {
  const keys = { '/etc/ssh/ssh_host_rsa_key': 'k', '/etc/ssh/ssh_host_rsa_key.pub': 'k' }
  const unit = '/etc/systemd/system/ingot-ssh-host-keys.service'
  const wanted = '/etc/systemd/system/multi-user.target.wants/ingot-ssh-host-keys.service'

  it('are made anew at first boot, by a unit that the clean-up adds', async () => {
    const { remote, files } = open({ ...keys, ...SSHD })
    await cleanAndLint(remote, {}, context)
    assert.match(
      Buffer.from(files.read(unit) ?? []).toString(),
      /ExecStart=\/usr\/bin\/ssh-keygen -A/,
    )
    assert.equal(files.stat(wanted)?.target, unit)
    assert.equal(files.read('/etc/ssh/ssh_host_rsa_key'), undefined)
  })

  it('need no unit of ours where the distribution has one', async () => {
    const { remote, files } = open({
      ...keys,
      ...SSHD,
      '/usr/lib/systemd/system/sshd-keygen@.service': 'x',
    })
    await cleanAndLint(remote, {}, context)
    assert.equal(files.read(unit), undefined)
  })

  it('are told of and left where nothing could make new ones', async () => {
    const { remote, files } = open({ ...keys, '/usr/sbin/sshd': 'x' })
    await assert.rejects(cleanAndLint(remote, {}, context), (error: Error) => {
      assert.match(error.message, /nothing makes SSH host keys when the image boots first/)
      return failsWith('CLEAN_LINT')(error)
    })
    assert.notEqual(files.read('/etc/ssh/ssh_host_rsa_key'), undefined)
  })
})
