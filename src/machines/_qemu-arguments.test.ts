import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GiB } from '../base/units.ts'
import { hostUplink } from '../remotes/uplink.ts'
import { toQemuArguments } from './_qemu-arguments.ts'
import { DISK_BUSES, type DiskBus, type MachineOptions } from './machine.ts'

const PLAIN: MachineOptions = {
  firmware: 'bios',
  accelerator: { kind: 'tcg', cpu: 'max' },
  memory: GiB,
  cpus: 2,
  network: 'isolated',
  tempDir: '/tmp',
}

/** Nodes of `-blockdev` by name. */
function nodesOf(argv: readonly string[]): Record<string, Record<string, unknown>> {
  const nodes = argv.filter((_, index) => argv[index - 1] === '-blockdev')
  return Object.fromEntries(
    nodes.map((text) => {
      const node = JSON.parse(text) as Record<string, unknown>
      return [node['node-name'], node]
    }),
  )
}

const card = (network: MachineOptions['network']): string[] =>
  toQemuArguments({ ...PLAIN, network }, {}).filter((word) => word.startsWith('user,'))

test('the image is opened read-only, in its format, and without the files it may name', () => {
  const disk = { path: '/a,b=c.img', format: 'qcow2' } as const
  const { image, disk: overlay } = nodesOf(toQemuArguments({ ...PLAIN, disk }, { overlay: '/o' }))
  assert.deepEqual(image, {
    'node-name': 'image',
    driver: 'qcow2',
    'read-only': true,
    backing: null,
    file: { driver: 'file', filename: '/a,b=c.img', 'read-only': true },
  })
  assert.equal(overlay?.['backing'], 'image')
  const raw = toQemuArguments({ ...PLAIN, disk: { ...disk, format: 'raw' } }, { overlay: '/o' })
  assert.equal(nodesOf(raw)['image']?.['driver'], 'raw')
})

test('the guest reaches nobody unless it is let, and nobody but this host reaches it', () => {
  assert.deepEqual(card('isolated'), ['user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22'])
  assert.deepEqual(card(hostUplink), ['user,id=net,restrict=off,hostfwd=tcp:127.0.0.1:0-:22'])
  assert.deepEqual(card('none'), [])
})

test('UEFI runs from flash that cannot be written, with variables of the guest’s own', () => {
  const firmware = { code: '/code.fd', variables: '/template.fd', description: '' }
  const argv = toQemuArguments({ ...PLAIN, firmware }, { variables: '/own.fd' })
  const { code, variables } = nodesOf(argv)
  assert.equal(code?.['read-only'], true)
  assert.deepEqual(variables?.['file'], { driver: 'file', filename: '/own.fd', 'read-only': false })
  assert.ok(argv.some((word) => word.includes('pflash0=code,pflash1=variables')))
  assert.ok(!argv.join(' ').includes('/template.fd'))
})

function withTarget(bus: DiskBus): string[] {
  return toQemuArguments({ ...PLAIN, target: { path: '/a,b=c.raw', bus } }, {})
}

test('a target takes what is written, on the bus that was asked for, and is booted first', () => {
  const { target } = nodesOf(withTarget('virtio'))
  assert.equal(target?.['driver'], 'raw')
  assert.deepEqual(target?.['file'], {
    driver: 'file',
    filename: '/a,b=c.raw',
    'read-only': false,
    discard: 'unmap',
  })
  for (const bus of DISK_BUSES.filter((name) => name !== 'sd'))
    assert.ok(withTarget(bus).some((word) => /drive=target,.*bootindex=0/.test(word)))
})

test('a kernel is started with its command line as one word, and comes before disks', () => {
  const kernel = { path: '/k,1', initrd: '/i,1', commandLine: 'a=b -append evil' }
  const target = { path: '/t', bus: 'virtio' } as const
  const argv = toQemuArguments({ ...PLAIN, kernel, target }, {})
  const after = (name: string) => argv[argv.indexOf(name) + 1]
  assert.deepEqual([after('-kernel'), after('-initrd')], ['/k,1', '/i,,1'])
  assert.equal(after('-append'), 'a=b -append evil')
  assert.ok(!argv.some((word) => word.includes('bootindex')))
})

test('media are read-only: the first disc is booted when no disk can be', () => {
  const argv = toQemuArguments({ ...PLAIN, cdroms: ['/a.iso', '/b.iso'], floppy: '/f.img' }, {})
  const { cd0, cd1, floppy } = nodesOf(argv)
  for (const node of [cd0, cd1, floppy]) assert.equal(node?.['read-only'], true)
  assert.deepEqual(
    argv.filter((word) => word.startsWith('ide-cd')),
    ['ide-cd,bus=ide.1,drive=cd0,bootindex=1', 'ide-cd,bus=ide.2,drive=cd1'],
  )
})

test('a guest that is answered reaches this process by an address of its own', () => {
  const argv = toQemuArguments({ ...PLAIN, nic: 'e1000', onRequest: () => undefined }, {})
  assert.ok(argv.includes('socket,id=web,fd=5'))
  assert.ok(argv.some((word) => word.endsWith(',guestfwd=tcp:10.0.2.100:80-chardev:web')))
  assert.ok(argv.includes('e1000,id=nic,netdev=net,romfile='))
})

test('variables that are kept are used in place', () => {
  const firmware = { code: '/code.fd', variables: '/template.fd', description: '' }
  const argv = toQemuArguments({ ...PLAIN, firmware, variables: '/kept.fd' }, {})
  assert.deepEqual(nodesOf(argv)['variables']?.['file'], {
    driver: 'file',
    filename: '/kept.fd',
    'read-only': false,
  })
})
