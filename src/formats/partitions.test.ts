import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { damaged } from '../testing/mutations.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { readPartitions } from './partitions.ts'

const at = await tempDir()
const LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4'
const ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'

/** A disk that sfdisk has partitioned. */
async function sfdisk(script: string, size = 16 * MiB): Promise<Buffer> {
  await writeFile(at('disk'), Buffer.alloc(size))
  await runTool(['sfdisk', '-q', '--no-reread', '--no-tell-kernel', at('disk')], { input: script })
  return await readFile(at('disk'))
}

const GPT = `label: gpt
first-lba: 34
start=34, size=100, type=${ESP}, uuid=AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE, name="EFI system"
start=2048, size=4096, type=${LINUX}, name="wurzel ünï"
`
const MBR = `label: dos
label-id: 0x00abcdef
start=2048, size=2048, type=83, bootable
start=4096, size=20480, type=5
start=6144, size=2048, type=82
start=10240, size=2048, type=83
start=14336, size=1024, type=8e
`
const read = (disk: Uint8Array) => readPartitions(memorySource(disk, 'disk'))

const flip = (disk: Buffer, offset: number) =>
  disk.writeUInt8(disk.readUInt8(offset) ^ 0xff, offset)

/** Writes the check sums of a GPT anew and removes its backup. */
function sealed(disk: Buffer): Buffer {
  disk.writeUInt32LE(crc32(disk.subarray(1024, 1024 + 128 * 128)), 512 + 88)
  disk.writeUInt32LE(0, 512 + 16)
  disk.writeUInt32LE(crc32(disk.subarray(512, 512 + 92)), 512 + 16)
  return disk.fill(0, disk.length - 512)
}

/** A GPT whose second partition has these sectors. */
function withSecond(disk: Buffer, first: bigint, last: bigint): Buffer {
  disk.writeBigUInt64LE(first, 1024 + 128 + 32)
  disk.writeBigUInt64LE(last, 1024 + 128 + 40)
  return sealed(disk)
}

/** Sectors of the boot records of logical partitions, the first being the extended partition. */
function chainOf(disk: Buffer): number[] {
  const records = [4096]
  for (;;) {
    const next = disk.readUInt32LE((records.at(-1) ?? 0) * 512 + 462 + 8)
    if (next === 0) return records
    records.push(4096 + next)
  }
}

describe('a GPT', () => {
  it('is read as sfdisk wrote it', async () => {
    const { kind, partitions, notes } = await read(await sfdisk(GPT))
    assert.deepEqual([kind, notes], ['gpt', []])
    assert.deepEqual(partitions[0], {
      number: 1,
      offset: 34 * 512,
      length: 100 * 512,
      type: ESP,
      uuid: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee',
      label: 'EFI system',
    })
    const { number, offset, length, type, label } = partitions[1] ?? assert.fail('no second one')
    assert.deepEqual([number, offset, length], [2, MiB, 2 * MiB])
    assert.deepEqual([type, label], [LINUX, 'wurzel ünï'])
  })

  it('keeps the numbers of its partitions when one between them is gone', async () => {
    const disk = await sfdisk(`${GPT}start=8192, size=1024, type=${LINUX}\n`)
    await writeFile(at('disk'), disk)
    await runTool(['sfdisk', '-q', '--no-reread', '--no-tell-kernel', '--delete', at('disk'), '2'])
    const { partitions } = await read(await readFile(at('disk')))
    assert.deepEqual(
      partitions.map(({ number }) => number),
      [1, 3],
    )
  })

  it('with sectors of 4096 bytes is found as well', async () => {
    const { partitions } = await read(gptOf4096())
    assert.deepEqual(
      partitions.map(({ number, offset, length }) => [number, offset, length]),
      [[1, 256 * 4096, 256 * 4096]],
    )
  })

  it('that is damaged at the start is read from its backup, and that is noted', async () => {
    for (const [offset, reason] of [
      [512, 'missing'],
      [512 + 17, 'wrong check sum'],
      [1024 + 40, 'wrong check sum of the entries'],
    ] as const) {
      const disk = await sfdisk(GPT)
      flip(disk, offset)
      const { partitions, notes } = await read(disk)
      assert.equal(partitions.length, 2)
      assert.match(notes[0] ?? '', new RegExp(`${reason}.*backup`))
    }
  })

  it('that is damaged at both ends is refused, with the reason', async () => {
    const disk = await sfdisk(GPT)
    flip(disk, 512 + 17)
    flip(disk, disk.length - 512 + 17)
    await assert.rejects(read(disk), (error) => {
      assert.ok(isFailure(error, 'IMAGE_UNREADABLE'))
      assert.match(error.message, /neither it nor its backup.*wrong check sum/)
      return true
    })
  })

  it('of a disk that was made larger is read', async () => {
    const disk = Buffer.concat([await sfdisk(GPT), Buffer.alloc(MiB)])
    assert.equal((await read(disk)).partitions.length, 2)
  })

  it('of a disk that is cut short is refused, and says where', async () => {
    const disk = (await sfdisk(GPT)).subarray(0, 2 * MiB)
    await assert.rejects(read(disk), (error) => {
      assert.ok(isFailure(error, 'IMAGE_TRUNCATED'))
      assert.match(error.message, /partition 2 ends at byte 3145728, .* ends at byte 2097152/)
      return true
    })
  })

  it('is not believed when its partitions overlap or end before they start', async () => {
    await assert.rejects(read(withSecond(await sfdisk(GPT), 100n, 200n)), failsWith('IMAGE_UNSAFE'))
    await assert.rejects(
      read(withSecond(await sfdisk(GPT), 300n, 200n)),
      failsWith('IMAGE_UNREADABLE'),
    )
    await assert.rejects(
      read(withSecond(await sfdisk(GPT), 2048n, 2n ** 62n)),
      failsWith('IMAGE_UNREADABLE'),
    )
  })

  it('with more entries than anybody needs is refused before they are read', async () => {
    const disk = await sfdisk(GPT)
    disk.writeUInt32LE(0xffffffff, 512 + 80)
    sealed(disk)
    await assert.rejects(read(disk), /4294967295 entries/)
  })
})

describe('an MBR', () => {
  it('is read as sfdisk wrote it, logical partitions from number 5 on', async () => {
    const { kind, partitions } = await read(await sfdisk(MBR))
    assert.equal(kind, 'mbr')
    assert.deepEqual(
      partitions.map(({ number, offset, length, type }) => [
        number,
        offset / 512,
        length / 512,
        type,
      ]),
      [
        [1, 2048, 2048, '0x83'],
        [5, 6144, 2048, '0x82'],
        [6, 10240, 2048, '0x83'],
        [7, 14336, 1024, '0x8e'],
      ],
    )
    assert.deepEqual(
      partitions.map(({ uuid }) => uuid),
      ['00abcdef-01', '00abcdef-05', '00abcdef-06', '00abcdef-07'],
    )
  })

  it('whose chain of logical partitions is a circle is refused', async () => {
    const disk = await sfdisk(MBR)
    const [, , last = 0] = chainOf(disk)
    disk[last * 512 + 462 + 4] = 0x05
    disk.writeUInt32LE(0, last * 512 + 462 + 8) // back to the first
    await assert.rejects(read(disk), /comes back to this record/)
  })

  it('whose chain never ends is refused', async () => {
    const disk = await sfdisk(MBR)
    for (let record = 4096; record < 4096 + 100; record++) {
      disk.fill(0, record * 512, record * 512 + 512)
      disk[record * 512 + 462 + 4] = 0x05
      disk.writeUInt32LE(record - 4096 + 1, record * 512 + 462 + 8)
      disk.writeUInt16LE(0xaa55, record * 512 + 510)
    }
    await assert.rejects(read(disk), /more than 64 logical partitions/)
  })

  it('whose chain leads out of the disk is refused', async () => {
    const disk = await sfdisk(MBR)
    disk.writeUInt32LE(0x7fffffff, 4096 * 512 + 462 + 8)
    await assert.rejects(read(disk), failsWith('IMAGE_TRUNCATED'))
  })

  it('whose partition ends behind the disk is refused', async () => {
    const disk = await sfdisk(MBR)
    disk.writeUInt32LE(0xffffffff, 446 + 12)
    await assert.rejects(read(disk), failsWith('IMAGE_TRUNCATED'))
  })

  it('whose partitions overlap, or are empty, is refused', async () => {
    const disk = await sfdisk(MBR)
    disk.writeUInt32LE(5000, 446 + 12)
    await assert.rejects(read(disk), failsWith('IMAGE_UNSAFE'))
    disk.writeUInt32LE(0, 446 + 12)
    await assert.rejects(read(disk), failsWith('IMAGE_UNSAFE'))
  })

  it('that promises a GPT is refused when there is none', async () => {
    const disk = await sfdisk(MBR)
    disk[446 + 4] = 0xee
    await assert.rejects(read(disk), /a partition table \(GPT\) should be here/)
  })
})

describe('no table', () => {
  it('is what an empty disk and a disk too small for one have', async () => {
    for (const disk of [Buffer.alloc(MiB), Buffer.alloc(512), Buffer.alloc(0)])
      assert.equal((await read(disk)).kind, 'none')
  })

  it('is what the boot sector of a file system has, although it ends in the same two bytes', async () => {
    await writeFile(at('fat'), Buffer.alloc(MiB))
    await runTool(['mkfs.vfat', at('fat')])
    const sector = await readFile(at('fat'))
    assert.equal(sector.readUInt16LE(510), 0xaa55)
    assert.equal((await read(sector)).kind, 'none')
  })
})

it('a damaged table is read or refused, with partitions on the disk only', async () => {
  for (const script of [GPT, MBR]) {
    const disk = await sfdisk(script, 13 * MiB)
    const start = [0, 512 + 92] as const
    const entries = [1024, 1024 + 300] as const
    const extended = [4096 * 512, 4096 * 512 + 512] as const
    await fc.assert(
      fc.asyncProperty(damaged(disk, [start, entries, extended]), async (damagedDisk) => {
        try {
          const { partitions } = await read(damagedDisk)
          for (const { offset, length } of partitions)
            assert.ok(offset > 0 && length > 0 && offset + length <= disk.length)
        } catch (error) {
          if (!isFailure(error)) throw error
        }
      }),
      { numRuns: 150 },
    )
  }
})

/** A GPT by hand, since sfdisk writes only 512-byte sectors into files: one partition, 256 sectors. */
function gptOf4096(): Buffer {
  const disk = Buffer.alloc(8 * MiB)
  disk[446 + 4] = 0xee
  disk.writeUInt32LE(1, 446 + 8)
  disk.writeUInt32LE(0xffffffff, 446 + 12)
  disk.writeUInt16LE(0xaa55, 510)
  const entries = disk.subarray(2 * 4096, 2 * 4096 + 4 * 128)
  Buffer.from('af3dc60f838472478e793d69d8477de4', 'hex').copy(entries)
  entries.writeBigUInt64LE(256n, 32)
  entries.writeBigUInt64LE(511n, 40)
  const header = disk.subarray(4096, 4096 + 92)
  header.write('EFI PART')
  header.writeUInt32LE(92, 12)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(2n, 72)
  header.writeUInt32LE(4, 80)
  header.writeUInt32LE(128, 84)
  header.writeUInt32LE(crc32(entries), 88)
  header.writeUInt32LE(crc32(header), 16)
  return disk
}
