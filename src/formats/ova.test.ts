import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { ovfOf, tarOf } from '../testing/hostile/hostile-packed.ts'
import { FindingList } from './_findings.ts'
import { OvaWalk } from './ova.ts'
import { type TarMember, TarWalk } from './tar.ts'

const GiB = 1024 ** 3

/** What is found in an archive whose disks are of 1 GiB. */
async function walk(archive: Buffer, { chunk = archive.length, virtualSize = GiB } = {}) {
  const findings = new FindingList()
  const disks: string[] = []
  const inspectDisk = ({ name }: TarMember) => {
    disks.push(name)
    return { push: () => {}, end: () => {}, result: { virtualSize } }
  }
  const ova = new OvaWalk({ findings, inspectDisk })
  for (let at = 0; at < archive.length; at += chunk)
    await ova.push(archive.subarray(at, at + chunk))
  ova.end()
  return { disks, findings: findings.all, codes: findings.all.map(({ code }) => code) }
}

const DISK = Buffer.alloc(70_000, 'disk')
const digest = (algorithm: string, content: Buffer | string) =>
  createHash(algorithm).update(content).digest('hex')

/** An extended header with one record. */
const records = (text: string): [string, string, string] => {
  const length = text.length + 3 + 1
  return ['records', `${length} ${text}\n`, 'x']
}

describe('an OVA', () => {
  it('is safe with a descriptor, a manifest and its disk, however it is cut', async () => {
    const ovf = ovfOf()
    const manifest = `SHA256(vm.ovf)= ${digest('sha256', ovf)}\nSHA1(disk.vmdk)= ${digest('sha1', DISK)}\n`
    const archive = tarOf([
      ['vm.ovf', ovf],
      ['vm.mf', manifest],
      ['disk.vmdk', DISK],
    ])
    for (const chunk of [1, 7, 512, 4096, archive.length])
      assert.deepEqual(await walk(archive, { chunk }), {
        disks: ['disk.vmdk'],
        findings: [],
        codes: [],
      })
  })

  it('may have its manifest at the end', async () => {
    const ovf = ovfOf()
    const manifest = `SHA512(vm.ovf)= ${digest('sha512', ovf)}\nSHA256(disk.vmdk)= ${digest('sha256', DISK)}\n`
    const members = [['vm.ovf', ovf] as const, ['disk.vmdk', DISK] as const]
    assert.deepEqual((await walk(tarOf([...members, ['vm.mf', manifest]]))).codes, [])
    const wrong = manifest.replace(/.\n$/, '\n')
    const { codes } = await walk(tarOf([...members, ['vm.mf', wrong]]))
    assert.deepEqual(codes, ['DIGEST_MISMATCH'])
  })

  it('is refused when its manifest leaves a member out', async () => {
    const ovf = ovfOf()
    const archive = tarOf([
      ['vm.ovf', ovf],
      ['vm.mf', `SHA256(vm.ovf)= ${digest('sha256', ovf)}\n`],
      ['disk.vmdk', DISK],
    ])
    assert.deepEqual((await walk(archive)).codes, ['DIGEST_MISMATCH'])
  })

  it('is refused when the descriptor is not the first member', async () => {
    const archive = tarOf([
      ['disk.vmdk', DISK],
      ['vm.ovf', ovfOf()],
    ])
    assert.ok((await walk(archive)).codes.includes('DESCRIPTOR_INVALID'))
  })

  it('is refused when the descriptor says another size of a disk', async () => {
    const archive = tarOf([
      ['vm.ovf', ovfOf()],
      ['disk.vmdk', DISK],
    ])
    assert.deepEqual((await walk(archive, { virtualSize: 2 * GiB })).codes, ['SIZE_MISMATCH'])
    const sized = ovfOf().replace('ovf:href', 'ovf:size="69999" ovf:href')
    const other = tarOf([
      ['vm.ovf', sized],
      ['disk.vmdk', DISK],
    ])
    assert.deepEqual((await walk(other)).codes, ['SIZE_MISMATCH'])
  })

  it('says in which unit a capacity counts', async () => {
    const ovf = ovfOf().replace(
      'ovf:capacity="1073741824"',
      'ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^30"',
    )
    const archive = tarOf([
      ['vm.ovf', ovf],
      ['disk.vmdk', DISK],
    ])
    assert.deepEqual((await walk(archive)).codes, [])
  })

  it('is refused with a disk on top of another, compressed, or in chunks', async () => {
    for (const [from, to, code] of [
      ['<Disk ', '<Disk ovf:parentRef="other" ', 'PARENT'],
      ['ovf:href', 'ovf:compression="gzip" ovf:href', 'UNKNOWN_FEATURE'],
      ['ovf:href', 'ovf:chunkSize="7516192768" ovf:href', 'UNKNOWN_FEATURE'],
    ] as const) {
      const archive = tarOf([
        ['vm.ovf', ovfOf().replace(from, to)],
        ['disk.vmdk', DISK],
      ])
      assert.deepEqual((await walk(archive)).codes, [code])
    }
  })
})

/** The members of a tar, and what is found. */
async function members(archive: Buffer) {
  const findings = new FindingList()
  const seen: string[] = []
  const onMember = ({ name, size }: TarMember) => void seen.push(`${name} ${size}`)
  const tar = new TarWalk({
    findings,
    onMember: (member) => {
      onMember(member)
      return undefined
    },
  })
  await tar.push(archive)
  tar.end()
  return { seen, codes: findings.all.map(({ code }) => code) }
}

describe('a tar', () => {
  it('may say times in an extended header', async () => {
    const archive = tarOf([records('mtime=1690000000.5'), ['a', 'b']])
    assert.deepEqual(await members(archive), { seen: ['a 1'], codes: [] })
  })

  it('is refused when an extended header makes a name a path, or a file a link', async () => {
    const path = await members(tarOf([records('path=../../etc/passwd'), ['a', 'b']]))
    assert.deepEqual(path, { seen: ['../../etc/passwd 1'], codes: ['ARCHIVE_MEMBER'] })
    const link = await members(tarOf([records('linkpath=/etc/passwd'), ['a', 'b']]))
    assert.deepEqual(link.codes, ['ARCHIVE_MEMBER'])
    const broken = await members(
      tarOf([
        ['records', '99 mtime=1\n', 'x'],
        ['a', 'b'],
      ]),
    )
    assert.deepEqual(broken.codes, ['HEADER_INVALID'])
  })

  it('is refused when it does not end, or goes on behind its end', async () => {
    const archive = tarOf([['a', 'b']])
    assert.deepEqual((await members(archive.subarray(0, -1024))).codes, ['TRUNCATED'])
    assert.deepEqual((await members(archive.subarray(0, 700))).codes, ['TRUNCATED'])
    const more = Buffer.concat([archive.subarray(0, -512), archive])
    assert.deepEqual((await members(more)).codes, ['UNUSED_BYTES'])
  })

  it('is refused with a size that is no number', async () => {
    for (const size of ['99999999999\0', '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff']) {
      const archive = tarOf([['a', 'b']])
      archive.write(size, 124, 'latin1')
      archive.fill(' ', 148, 156)
      const sum = archive.subarray(0, 512).reduce((total, value) => total + value, 0)
      archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
      assert.deepEqual((await members(archive)).codes, ['HEADER_INVALID'])
    }
  })
})
