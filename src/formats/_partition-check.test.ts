import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { MiB } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { gptDisk } from '../testing/hostile/hostile-partitions.ts'
import { FindingList } from './_findings.ts'
import { checkPartitions } from './_partition-check.ts'

async function check(disk: Uint8Array, where: 'file' | 'guest' = 'file') {
  const findings = new FindingList()
  const table = await checkPartitions(memorySource(disk, 'disk'), findings, where)
  return { table, findings: findings.all, codes: findings.all.map(({ code }) => code) }
}

/** The header of a GPT with other numbers in it, and a check sum that fits. */
function sealed(disk: Buffer, at: number, change: () => void): Buffer {
  change()
  disk.writeUInt32LE(0, at + 16)
  disk.writeUInt32LE(crc32(disk.subarray(at, at + 92)), at + 16)
  return disk
}

describe('a GPT', () => {
  it('is well with its backup at the end', async () => {
    const { table, codes } = await check(gptDisk())
    assert.deepEqual([table?.kind, table?.partitions.length, codes], ['gpt', 2, []])
  })

  it('may stand on a disk that was made larger, which is told', async () => {
    const grown = Buffer.concat([gptDisk(), Buffer.alloc(MiB)])
    const { findings } = await check(grown)
    assert.deepEqual(
      findings.map(({ code, severity }) => [code, severity]),
      [['ODD', 'warn']],
    )
  })

  it('is refused on a disk that was cut, with the byte where the backup should be', async () => {
    const { findings, codes } = await check(gptDisk().subarray(0, 4 * MiB - 4096))
    assert.deepEqual(codes, ['PARTITION_TABLE'])
    assert.match(findings[0]?.found ?? '', /byte 4193792/)
  })

  it('is refused when its backup is missing, damaged, or another table', async () => {
    const backup = 4 * MiB - 512
    const missing = gptDisk().fill(0, backup)
    const damagedBackup = gptDisk()
    damagedBackup.writeUInt8(1, backup + 90)
    const other = gptDisk()
    sealed(other, backup, () => other.writeUInt32LE(1, backup + 56))
    for (const disk of [missing, damagedBackup, other])
      assert.deepEqual((await check(disk)).codes, ['PARTITION_TABLE'])
  })

  it('is refused when only its backup can be read', async () => {
    const disk = gptDisk()
    disk.writeUInt8(1, 512 + 90)
    const { codes } = await check(disk)
    assert.ok(codes.includes('PARTITION_TABLE'))
  })

  it('that the MBR does not mention is told', async () => {
    const disk = gptDisk().fill(0, 440, 512)
    const { findings } = await check(disk)
    assert.deepEqual(
      findings.map(({ severity }) => severity),
      ['warn'],
    )
  })
})

it('a fault in the disk inside an image is no byte of its file', async () => {
  const disk = gptDisk().subarray(0, 4 * MiB - 4096)
  const { findings } = await check(disk, 'guest')
  assert.equal(findings[0]?.at, undefined)
  assert.match(findings[0]?.found ?? '', /of the guest's disk/)
})

it('a file system without partitions has no table', async () => {
  const disk = Buffer.alloc(MiB)
  disk.write('\xeb\x3c\x90mkfs.fat\0\x02\x04\x01\0\x02\0\x02\0\0\xf8', 0, 'latin1')
  disk.writeUInt16LE(0xaa55, 510)
  disk.writeUInt8(0x0e, 450)
  assert.deepEqual(await check(disk), { table: undefined, findings: [], codes: [] })
})
