import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type FailureCode, isFailure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { memorySource, openFileSource, type Source } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { damaged } from '../testing/mutations.ts'
import { sampleDisk } from '../testing/qemu-images.ts'
import { tempDir } from '../testing/temp-dir.ts'
import type { FindingCode } from './finding.ts'
import { openDisk } from './open-disk.ts'
import { qcow2Parser } from './parsers/qcow2.ts'

const at = await tempDir()
const openQcow2 = (file: Source) => openDisk(file, qcow2Parser, { tolerated: ['SNAPSHOTS'] })
const qemuImg = (...argv: string[]) => runTool(['qemu-img', ...argv])

/** Makes a qcow2 of a raw file by qemu-img. */
async function converted(disk: Buffer, name: string, ...options: string[]): Promise<string> {
  await writeFile(at(`${name}.raw`), disk)
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, at(`${name}.raw`), at(name))
  return at(name)
}

/** The whole disk, read in pieces that fit no cluster. */
async function readWhole(disk: Source, piece = 100_001): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for (let offset = 0; offset < disk.size; offset += piece)
    pieces.push(await disk.read(offset, Math.min(piece, disk.size - offset)))
  return Buffer.concat(pieces)
}

const same = (found: Uint8Array, wanted: Uint8Array, what: string) =>
  assert.equal(Buffer.compare(found, wanted), 0, `${what}: contents differ`)

describe('a qcow2 that qemu-img wrote', () => {
  const disk = sampleDisk(3 * MiB + 512)
  const variants: Record<string, string[]> = {
    'version 2': ['-o', 'compat=0.10'],
    'version 2, compressed': ['-c', '-o', 'compat=0.10'],
    'clusters of 512 bytes': ['-o', 'cluster_size=512'],
    'clusters of 512 bytes, compressed': ['-c', '-o', 'cluster_size=512'],
    'clusters of 4 KiB': ['-o', 'cluster_size=4k'],
    'clusters of 64 KiB': [],
    'clusters of 64 KiB, compressed': ['-c'],
    'clusters of 2 MiB': ['-o', 'cluster_size=2M'],
    'clusters of 2 MiB, compressed': ['-c', '-o', 'cluster_size=2M'],
    'zstd, 4 KiB': ['-c', '-o', 'compression_type=zstd,cluster_size=4k'],
    'zstd, 64 KiB': ['-c', '-o', 'compression_type=zstd'],
    'zstd, 2 MiB': ['-c', '-o', 'compression_type=zstd,cluster_size=2M'],
    'refcounts of 1 bit': ['-o', 'refcount_bits=1'],
    'extended L2 entries': ['-o', 'extended_l2=on'],
    'metadata in advance': ['-o', 'preallocation=metadata'],
    'lazy refcounts': ['-o', 'lazy_refcounts=on'],
  }
  for (const [index, [name, options]] of Object.entries(variants).entries())
    it(`reads back byte for byte: ${name}`, async () => {
      await using file = await openFileSource(await converted(disk, `variant-${index}`, ...options))
      const image = await openQcow2(file)
      assert.equal(image.size, disk.length)
      same(await readWhole(image), disk, 'in pieces')
      same(await image.read(0, disk.length), disk, 'at once')
    })

  it('reads any range', async () => {
    await using file = await openFileSource(
      await converted(disk, 'ranges', '-c', '-o', 'cluster_size=16k'),
    )
    const image = await openQcow2(file)
    const range = fc.tuple(fc.nat(disk.length), fc.nat(200_000))
    await fc.assert(
      fc.asyncProperty(range, async ([from, length]) => {
        const to = Math.min(disk.length, from + length)
        same(await image.read(from, to - from), disk.subarray(from, to), `${from} to ${to}`)
      }),
    )
    await assert.rejects(image.read(disk.length, 1), failsWith('IMAGE_TRUNCATED'))
  })

  it('reads what was written into it later, zeros over data among it', async () => {
    const path = await converted(disk, 'written', '-o', 'cluster_size=32k')
    const commands = ['write -P 7 100000 50000', 'write -z 1100000 200000', 'discard 0 131072']
    await runTool(['qemu-io', ...commands.flatMap((command) => ['-c', command]), path])
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', path, at('judge.raw'))
    await using file = await openFileSource(path)
    same(await readWhole(await openQcow2(file)), await readFile(at('judge.raw')), 'after writing')
  })

  it('reads the disk as it is now, whatever snapshots the file holds', async () => {
    const path = await converted(disk, 'snapshots')
    await qemuImg('snapshot', '-c', 'before', path)
    await runTool(['qemu-io', '-c', 'write -P 9 0 65536', path])
    await using file = await openFileSource(path)
    const image = await openQcow2(file)
    assert.deepEqual(
      image.findings.map(({ code }) => code),
      ['SNAPSHOTS'],
    )
    same(await image.read(0, 65536), Buffer.alloc(65536, 9), 'now')
  })

  it('of a large empty disk is read without taking its size in memory', async () => {
    await qemuImg('create', '-q', '-f', 'qcow2', at('huge'), '16T')
    await using file = await openFileSource(at('huge'))
    const image = await openQcow2(file)
    assert.equal(image.size, 16 * 2 ** 40)
    same(await image.read(2 ** 43 + 5, 1000), Buffer.alloc(1000), 'empty')
  })
})

/** A case: opening this is refused, at this byte of the file, for this. */
function refused(
  title: string,
  wanted: { code: FailureCode; at?: number; finding: FindingCode },
  open: () => Promise<Source>,
): void {
  it(title, async () => {
    await assert.rejects(open().then(openQcow2), (error) => {
      assert.ok(isFailure(error, wanted.code), String(error))
      assert.equal(error.details['finding'], wanted.finding)
      if (wanted.at !== undefined) assert.equal(error.details['offset'], wanted.at)
      return true
    })
  })
}

describe('a qcow2 is refused', () => {
  const path = at('base.qcow2')
  const make = async (...options: string[]) => {
    await qemuImg('create', '-q', '-f', 'qcow2', ...options)
    return memorySource(await readFile(path), 'test.qcow2')
  }
  /** A good image with bytes of its header or tables changed. */
  const changed = (offset: number, hex: string) => async () => {
    const bytes = Buffer.from(await readFile(await good))
    bytes.write(hex, offset, 'hex')
    return memorySource(bytes, 'test.qcow2')
  }
  const good = converted(sampleDisk(3 * MiB), 'good')

  refused(
    'with a backing file',
    { code: 'IMAGE_UNSAFE', at: 8, finding: 'BACKING_FILE' },
    async () => {
      await writeFile(at('huge.raw'), Buffer.alloc(MiB))
      return await make('-b', at('huge.raw'), '-F', 'raw', path)
    },
  )
  refused(
    'with its data in another file',
    { code: 'IMAGE_UNSAFE', at: 72, finding: 'DATA_FILE' },
    () => make('-o', `data_file=${at('data.raw')}`, path, '1M'),
  )
  refused(
    'with the name of a data file even if the feature is hidden',
    { code: 'IMAGE_UNSAFE', finding: 'DATA_FILE' },
    async () => {
      await make('-o', `data_file=${at('data.raw')}`, path, '1M')
      const bytes = Buffer.from(await readFile(path))
      bytes[79] = 0
      return memorySource(bytes)
    },
  )
  refused(
    'with encrypted content',
    { code: 'FILE_SYSTEM_ENCRYPTED', at: 32, finding: 'ENCRYPTED' },
    () =>
      make(
        '--object',
        'secret,id=s,data=x',
        '-o',
        'encrypt.format=aes,encrypt.key-secret=s',
        path,
        '1M',
      ),
  )
  refused('that is dirty', { code: 'IMAGE_DIRTY', at: 72, finding: 'DIRTY' }, changed(79, '01'))
  refused(
    'that is marked corrupt',
    { code: 'IMAGE_DIRTY', at: 72, finding: 'DIRTY' },
    changed(79, '02'),
  )
  refused(
    'with features nobody knows',
    { code: 'IMAGE_UNREADABLE', at: 72, finding: 'UNKNOWN_FEATURE' },
    changed(72, '80'),
  )
  refused(
    'of version 4',
    { code: 'IMAGE_UNREADABLE', at: 4, finding: 'FORMAT_VERSION' },
    changed(7, '04'),
  )
  refused(
    'with odd clusters',
    { code: 'IMAGE_UNSAFE', at: 20, finding: 'HEADER_INVALID' },
    changed(23, '28'),
  )
  refused(
    'with half a sector',
    { code: 'IMAGE_UNSAFE', at: 24, finding: 'HEADER_INVALID' },
    changed(31, '01'),
  )
  refused(
    'of a size no disk has',
    { code: 'IMAGE_UNSAFE', at: 24, finding: 'SIZE_LIMIT' },
    changed(24, 'ff'),
  )
  refused(
    'with a table smaller than its disk',
    { code: 'IMAGE_UNSAFE', at: 36, finding: 'TABLE_TOO_SMALL' },
    changed(24, '0000001000000000'),
  )
  refused(
    'with a table beyond all measure, before any memory is taken',
    { code: 'IMAGE_UNSAFE', at: 36, finding: 'TABLE_TOO_LARGE' },
    changed(36, 'ffffffff'),
  )
  refused(
    'with its table at an odd place',
    { code: 'IMAGE_UNSAFE', at: 40, finding: 'MISALIGNED' },
    changed(47, '01'),
  )
  refused(
    'with its table behind the end',
    { code: 'IMAGE_TRUNCATED', finding: 'TRUNCATED' },
    changed(42, 'ff'),
  )
  refused(
    'with an unknown compression',
    { code: 'IMAGE_UNREADABLE', finding: 'UNKNOWN_FEATURE' },
    changed(104, '07'),
  )
  refused(
    'cut inside its header',
    { code: 'IMAGE_TRUNCATED', at: 0, finding: 'TRUNCATED' },
    async () => memorySource((await readFile(await good)).subarray(0, 50)),
  )

  /** Where qemu-img put the tables of the good image. */
  const tables = async () => {
    const bytes = await readFile(await good)
    const l1 = Number(bytes.readBigUInt64BE(40))
    return { l1, l2: Number(bytes.readBigUInt64BE(l1) & 0x00fffffffffffe00n) }
  }
  /** A case: the first entry of a table is this, and nothing is read from it. */
  const brokenEntry = (title: string, table: 'l1' | 'l2', entry: string, code: FailureCode) => {
    it(title, async () => {
      const offset = (await tables())[table]
      const read = openQcow2(await changed(offset, entry)()).then((image) => image.read(0, 512))
      await assert.rejects(read, (error) => {
        assert.ok(isFailure(error, code), String(error))
        assert.equal(error.details['offset'], offset)
        return true
      })
    })
  }
  brokenEntry('with an L1 entry behind the end', 'l1', '8000000fff000000', 'IMAGE_TRUNCATED')
  brokenEntry('with an L1 entry at an odd place', 'l1', '8000000000040200', 'IMAGE_UNSAFE')
  brokenEntry('with reserved bits in an L1 entry', 'l1', '8100000000040000', 'IMAGE_UNSAFE')
  brokenEntry('with an L2 entry behind the end', 'l2', '8000000fff000000', 'IMAGE_TRUNCATED')
  brokenEntry('with an L2 entry at an odd place', 'l2', '8000000000050200', 'IMAGE_UNSAFE')
  brokenEntry('with reserved bits in an L2 entry', 'l2', '8000000000050004', 'IMAGE_UNSAFE')
  brokenEntry('with a payload behind the end', 'l2', '4000000fff000000', 'IMAGE_TRUNCATED')
  it('when a compressed cluster is not what it should be', async () => {
    for (const type of ['zlib', 'zstd']) {
      const name = await converted(
        sampleDisk(3 * MiB),
        type,
        '-c',
        '-o',
        `compression_type=${type}`,
      )
      const bytes = Buffer.from(await readFile(name))
      bytes.fill(0xa5, 5 * 65536 + 100) // behind the tables
      const image = await openQcow2(memorySource(bytes))
      await assert.rejects(readWhole(image), failsWith('IMAGE_UNSAFE'), type)
    }
  })

  it('when it is cut short, and says at which entry', async () => {
    const bytes = await readFile(await good)
    const cut = memorySource(bytes.subarray(0, bytes.length - 65536))
    await assert.rejects(openQcow2(cut), (error) => {
      assert.ok(isFailure(error, 'IMAGE_TRUNCATED'))
      assert.ok(Number(error.details['offset']) < bytes.length)
      return true
    })
  })
})

it('a damaged qcow2 is read or refused, and never more is asked of the file than it has', async () => {
  const disk = sampleDisk(2 * MiB + 16 * KiB)
  for (const options of [
    ['-o', 'cluster_size=4k'],
    ['-c', '-o', 'cluster_size=4k,compression_type=zstd'],
  ]) {
    const bytes = await readFile(await converted(disk, 'fuzz', ...options))
    const header = [0, 120] as const
    const tables = [4 * KiB, 48 * KiB] as const
    await fc.assert(
      fc.asyncProperty(damaged(bytes, [header, tables]), async (damagedBytes) => {
        let total = 0
        const file: Source = {
          ...memorySource(damagedBytes),
          read: async (offset, length) => {
            total += length
            return await memorySource(damagedBytes).read(offset, length)
          },
        }
        try {
          const image = await openQcow2(file)
          for (const offset of [0, MiB, 2 * MiB])
            if (offset + 16 * KiB <= image.size) await image.read(offset, 16 * KiB)
        } catch (error) {
          if (!isFailure(error)) throw error
        }
        assert.ok(total < 64 * MiB, `read ${total} bytes`)
      }),
      { numRuns: 300 },
    )
  }
})
