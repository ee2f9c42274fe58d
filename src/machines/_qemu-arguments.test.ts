import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GiB } from '../base/units.ts'
import { toQemuArguments } from './_qemu-arguments.ts'
import type { MachineOptions } from './machine.ts'

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
  assert.deepEqual(card('open'), ['user,id=net,restrict=off,hostfwd=tcp:127.0.0.1:0-:22'])
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
