import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MiB } from '../../base/units.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { templateOf } from '../../testing/template-of.ts'
import type { InstallPlan, OsName, Template } from '../template.ts'
import { findInstallSystem } from './install-systems.ts'
import type { InstallerOptions } from './installer-options.ts'
import { commandLineOf, type Installation, planInstallation } from './plan-install.ts'

const INSTALL: InstallPlan = {
  source: { type: 'url', url: 'http://mirror.example.org/linux/' },
  diskSize: 0,
  rootPassword: null,
  productKey: null,
  kernelParameters: null,
}

function templateFor(name: string, version: string, install: Partial<InstallPlan> = {}): Template {
  return templateOf(undefined, {
    os: { name, version, arch: 'x86_64' },
    install: { ...INSTALL, ...install },
  })
}

function plan(
  name: string,
  version: string,
  options: InstallerOptions = {},
  install: Partial<InstallPlan> = {},
): Installation {
  return planInstallation({ template: templateFor(name, version, install), options })
}

function line(name: string, version: string, options: InstallerOptions = {}): string {
  return commandLineOf(plan(name, version, options), [])
}

function key(options: InstallerOptions = {}, install: Partial<InstallPlan> = {}): string {
  return plan('Debian', '12', options, install).key
}

const asText = ({ answer }: Installation): string =>
  Buffer.from(answer.files[0]!.content).toString()

for (const [name, version, answer, kernel] of [
  [
    'Debian',
    '5',
    'preseed',
    'dists/lenny/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux',
  ],
  [
    'Debian',
    '12.4',
    'preseed',
    'dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux',
  ],
  [
    'Debian',
    '13',
    'preseed',
    'dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux',
  ],
  [
    'Ubuntu',
    '18.04',
    'preseed',
    'dists/bionic/main/installer-amd64/current/images/netboot/ubuntu-installer/amd64/linux',
  ],
  [
    'Ubuntu',
    '20.04',
    'preseed',
    'dists/focal/main/installer-amd64/current/legacy-images/netboot/ubuntu-installer/amd64/linux',
  ],
  ['Ubuntu', '24.04', 'autoinstall', undefined],
  ['Fedora', '42', 'kickstart', 'images/pxeboot/vmlinuz'],
  ['RHEL-7', '9', 'kickstart', 'images/pxeboot/vmlinuz'],
  ['CentOS-6', '10', 'kickstart', 'images/pxeboot/vmlinuz'],
  ['Rocky-9', '4', 'kickstart', 'images/pxeboot/vmlinuz'],
  ['AlmaLinux', '10', 'kickstart', 'images/pxeboot/vmlinuz'],
  ['OpenSUSE', '15.6', 'autoyast', 'boot/x86_64/loader/linux'],
  ['Windows', '2012', 'unattend', undefined],
] as const)
  test(`where ${name} ${version} has its installer, and what it is answered by`, () => {
    const os: OsName = { name, version, arch: 'x86_64' }
    const system = findInstallSystem(os)
    assert.equal(system.answer, answer)
    assert.equal(system.tree?.(os, INSTALL.source.url)[0]?.kernel, kernel)
  })

test('a tree that is named down to its suite is not searched for one', () => {
  const os: OsName = { name: 'Debian', version: '12', arch: 'i386' }
  const [paths] = findInstallSystem(os).tree?.(os, 'http://x/debian/dists/bookworm') ?? []
  assert.equal(
    paths?.initrd,
    'main/installer-i386/current/images/netboot/debian-installer/i386/initrd.gz',
  )
})

test('refuses what no installer or machine here is known for', () => {
  assert.throws(() => plan('TempleOS', '5'), failsWith('TEMPLATE_INVALID'))
  const template = templateOf(undefined, {
    os: { name: 'Debian', version: '12', arch: 's390x' },
    install: INSTALL,
  })
  assert.throws(() => planInstallation({ template, options: {} }), failsWith('TEMPLATE_INVALID'))
  assert.throws(
    () => planInstallation({ template: templateOf(), options: {} }),
    failsWith('TEMPLATE_INVALID'),
  )
  assert.throws(
    () => plan('Fedora', '42', { kernel_url: 'http://x/k' }),
    failsWith('REQUEST_INVALID'),
  )
  assert.throws(
    () => plan('Ubuntu', '24.04', { answer_via: 'initrd' }),
    failsWith('REQUEST_INVALID'),
  )
  assert.throws(() => plan('Windows', '10', { answer_via: 'http' }), failsWith('REQUEST_INVALID'))
})

test('each installer is told of its answer file in its own words', () => {
  assert.match(line('Debian', '12'), / auto=true priority=critical .*preseed\/file=\/preseed\.cfg/)
  assert.match(
    line('Debian', '12', { answer_via: 'http' }),
    / preseed\/url=http:\/\/10\.0\.2\.100\/[\w-]{32}\/preseed\.cfg/,
  )
  assert.match(line('Fedora', '42'), / inst\.ks=file:\/ks\.cfg inst\.text$/)
  assert.match(line('RHEL-6', '9'), / ks=file:\/ks\.cfg text$/)
  assert.match(
    line('CentOS-7', '9', { answer_via: 'disc' }),
    / inst\.ks=hd:LABEL=OEMDRV:\/ks\.cfg /,
  )
  assert.match(line('OpenSUSE', '15.6'), / autoyast=file:\/\/\/autoinst\.xml /)
  assert.match(
    line('Ubuntu', '24.04'),
    / autoinstall ds=nocloud;s=http:\/\/10\.0\.2\.100\/[\w-]{32}\/$/,
  )
  assert.match(line('Ubuntu', '24.04', { answer_via: 'disc' }), / autoinstall ds=nocloud$/)
})

test('what a template and an order add to the command line stands last', () => {
  const planned = plan('Fedora', '42', { kernelparam: 'b=2' }, { kernelParameters: ' a=1  quiet' })
  assert.match(commandLineOf(planned, ['inst.repo=x']), / inst\.repo=x a=1 quiet b=2$/)
})

test('an answer file of the user is used as it is, and no password is put into it', () => {
  const script = 'rootpw --plaintext TEMPLATE\n'
  const planned = plan('Fedora', '42', { install_script: script }, { rootPassword: 'other' })
  assert.equal(asText(planned), script)
})

test('a password is made if none is given, differs each time, and is only there as a hash', () => {
  const [one, two] = [plan('Debian', '12'), plan('Debian', '12')]
  assert.notEqual(asText(one), asText(two))
  for (const { secrets, ...planned } of [one, two]) {
    assert.ok(secrets[0]!.length >= 24)
    assert.ok(!asText({ ...planned, secrets }).includes(secrets[0]!))
  }
  const given = plan('Debian', '12', {}, { rootPassword: 'from the template' })
  assert.ok(given.secrets.includes('from the template'))
  assert.ok(!asText(given).includes('from the template'))
})

test('an installed disk is the same for the same order, and another for any other', () => {
  assert.equal(key(), key())
  const others = [
    key({ memory: 2000 }),
    key({ disk_bus: 'sata' }),
    key({ firmware: 'uefi' }),
    key({ install_script: 'x' }),
    key({ kernelparam: 'x' }),
    key({}, { rootPassword: 'x' }),
    key({}, { rootPassword: 'y' }),
    key({}, { diskSize: 5 }),
    key({}, { source: { type: 'url', url: 'http://else.example.org/' } }),
  ]
  assert.equal(new Set([key(), ...others]).size, others.length + 1)
})

test('machines have what their system has drivers for, unless told otherwise', () => {
  const windows = plan('Windows', '2012')
  assert.deepEqual([windows.bus, windows.nic], ['sata', 'e1000e'])
  const fedora = plan('Fedora', '42', { memory: 900, nic_model: 'e1000' })
  assert.deepEqual([fedora.bus, fedora.nic, fedora.memory], ['virtio', 'e1000', 900 * MiB])
})
