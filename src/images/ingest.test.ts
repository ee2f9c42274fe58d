import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { inChunks, openIngestBench } from '../testing/ingest-bench.ts'
import { ingest } from './ingest.ts'

const bench = await openIngestBench()
const { at, context, file, sequential, stores, disk, qcow2 } = bench
const { converted, planOf, taken, isLeftNothing, isRefused } = bench

describe('content that is stored as it came', () => {
  it('is the same in every store, with its digests and its map', async () => {
    for (const store of stores) {
      const { stored, map, virtualSize } = await taken(disk, { store, size: disk.length })
      assert.ok(stored.equals(disk))
      assert.equal(virtualSize, disk.length)
      assert.deepEqual(
        [...(map?.extents() ?? [])].map(({ offset }) => offset / (64 * KiB)),
        [1, 32, 48, 79],
      )
    }
  })

  it('gives the same record however it is cut', async () => {
    const whole = await taken(qcow2, { diskFormat: 'qcow2' })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 * MiB }), { minLength: 1 }),
        async (cuts) => {
          if (cuts.every((cut) => cut < KiB)) cuts.push(MiB)
          const plan = planOf({ diskFormat: 'qcow2' })
          const ingested = await ingest(inChunks(qcow2, ...cuts), plan, context)
          await plan.store.remove(plan.key)
          const { stored: _, ...expected } = whole
          assert.deepEqual(ingested, expected)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('may be nothing at all', async () => {
    const { size, virtualSize } = await taken(Buffer.alloc(0))
    assert.deepEqual([size, virtualSize], [0, 0])
  })

  it('tells the virtual size of every format it knows', async () => {
    for (const [diskFormat, bytes] of [
      ['qcow2', qcow2],
      ['vhdx', await converted('vhdx')],
      ['vhd', await converted('vpc', '-o', 'force_size=on')],
      ['vmdk', await converted('vmdk')],
      ['vdi', await converted('vdi')],
    ] as const) {
      const { virtualSize, stored, map } = await taken(bytes, { diskFormat })
      assert.deepEqual([diskFormat, virtualSize], [diskFormat, disk.length])
      assert.ok(stored.equals(bytes))
      assert.equal(map, undefined)
    }
  })

  it('may be anything when it is declared raw, or is in an envelope', async () => {
    const { virtualSize } = await taken(qcow2, { diskFormat: 'raw' })
    assert.equal(virtualSize, qcow2.length)
    for (const bytes of [gzipSync(disk), Buffer.from('PK\x03\x04 and more')]) await taken(bytes)
    const inside = await taken(qcow2, { diskFormat: 'vmdk', containerFormat: 'ova' })
    assert.equal(inside.virtualSize, null)
  })

  it('has to be of its format, unless that is not wanted', async () => {
    for (const diskFormat of ['vmdk', 'iso', 'ami', 'gpt'])
      await isRefused('FORMAT_MISMATCH', inChunks(qcow2), { diskFormat })
    await isRefused('FORMAT_MISMATCH', inChunks(disk), { diskFormat: 'qcow2' })
    await taken(disk, { diskFormat: 'ploop' })
    await taken(qcow2, { diskFormat: 'vmdk', requireMatch: false })
  })

  it('is refused when it reaches for other files, whatever it is declared', async () => {
    const path = at('overlay')
    await runTool(['qemu-img', 'create', '-f', 'qcow2', '-F', 'raw', '-b', at('disk'), path])
    const overlay = await readFile(path)
    for (const plan of [{ diskFormat: 'qcow2' }, {}, { diskFormat: 'qcow2', requireMatch: false }])
      await isRefused('IMAGE_UNSAFE', inChunks(overlay), plan)
  })
})

describe('content that is made into another format', () => {
  it('comes out as the same disk, into every store', async () => {
    for (const store of stores)
      for (const [diskFormat, bytes] of [
        ['qcow2', qcow2],
        ['qcow2', await converted('qcow2', '-c', '-W', '-m', '4')],
        ['vhdx', await converted('vhdx')],
        ['vhd', await converted('vpc', '-o', 'force_size=on')],
        ['vhd', await converted('vpc', '-o', 'force_size=on,subformat=fixed')],
        ['vmdk', await converted('vmdk', '-o', 'subformat=streamOptimized')],
        ['vdi', await converted('vdi')],
      ] as const) {
        const about = await taken(bytes, { store, diskFormat, convertTo: 'raw' })
        assert.ok(about.stored.equals(disk), `${diskFormat} in ${store.id}`)
        assert.equal(about.diskFormat, 'raw')
        assert.equal(about.virtualSize, disk.length)
        assert.deepEqual(
          [...(about.map?.extents() ?? [])].map(({ offset }) => offset / (64 * KiB)),
          [1, 32, 48, 79],
        )
      }
    await isLeftNothing()
  })

  it('can be another one than raw, and is left alone when it is that', async () => {
    const about = await taken(disk, { convertTo: 'qcow2', store: file })
    assert.equal(about.diskFormat, 'qcow2')
    await writeFile(at('made.qcow2'), about.stored)
    await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', at('disk'), at('made.qcow2')])
    const same = await taken(qcow2, { diskFormat: 'qcow2', convertTo: 'qcow2' })
    assert.ok(same.stored.equals(qcow2))
    await isLeftNothing()
  })

  it('is of no use when it is of another format, unsafe, or cut short', async () => {
    const plan = { diskFormat: 'vmdk', convertTo: 'raw' }
    for (const store of stores) {
      await isRefused('FORMAT_MISMATCH', inChunks(qcow2), { ...plan, store })
      await isRefused('IMAGE_TRUNCATED', inChunks(qcow2.subarray(0, -100 * KiB)), {
        store,
        diskFormat: 'qcow2',
        convertTo: 'raw',
      })
    }
  })

  it('is held to limits by what comes out', async () => {
    const plan = { diskFormat: 'qcow2', convertTo: 'raw' }
    await isRefused('LIMIT_EXCEEDED', inChunks(qcow2), { ...plan, maxSize: 4 * MiB })
    await isRefused('QUOTA_EXCEEDED', inChunks(qcow2), {
      ...plan,
      quota: 4 * MiB,
      store: sequential,
    })
  })
})

describe('content that is compressed', () => {
  const zip = async () => {
    await runTool(['python3', '-c', ZIP, at('made.zip'), at('disk')])
    return await readFile(at('made.zip'))
  }
  const ZIP = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as archive:
  for path in sys.argv[2:]: archive.write(path)`

  it('is unpacked, and stored as it is or converted', async () => {
    for (const pack of [gzipSync, zstdCompressSync]) {
      const about = await taken(pack(qcow2), { diskFormat: 'qcow2', decompress: true })
      assert.ok(about.stored.equals(qcow2))
      const plan = { diskFormat: 'qcow2', containerFormat: 'compressed', decompress: true }
      const raw = await taken(pack(qcow2), { ...plan, convertTo: 'raw' })
      assert.ok(raw.stored.equals(disk))
      assert.equal(raw.containerFormat, 'bare')
    }
    const zipped = await taken(await zip(), { decompress: true, store: file })
    assert.ok(zipped.stored.equals(disk))
  })

  it('stays as it is when unpacking is not wanted, or it is a ramdisk', async () => {
    const packed = gzipSync(disk)
    assert.ok((await taken(packed)).stored.equals(packed))
    const plan = { diskFormat: 'ari', containerFormat: 'ari', decompress: true }
    assert.ok((await taken(packed, plan)).stored.equals(packed))
  })

  it('is refused when it is damaged, cut short, or a bomb', async () => {
    const packed = gzipSync(disk)
    const damaged = Buffer.from(packed)
    damaged.fill(0x55, 1000, 1100)
    const plan = { decompress: true }
    await isRefused('IMAGE_UNSAFE', inChunks(damaged), plan)
    await isRefused('IMAGE_TRUNCATED', inChunks(packed.subarray(0, -5)), plan)
    await isRefused('LIMIT_EXCEEDED', inChunks(packed), { ...plan, maxSize: 4 * MiB })
    await isRefused('FORMAT_MISMATCH', inChunks(disk), { ...plan, containerFormat: 'compressed' })
  })

  it('in a zip has to be one whole file', async () => {
    const archive = await zip()
    const plan = { decompress: true }
    for (const length of [10, 100, archive.length / 2, archive.length - 30])
      await isRefused('IMAGE_TRUNCATED', inChunks(archive.subarray(0, length)), plan)
    const damaged = Buffer.from(archive)
    damaged.fill(0x55, 5000, 5010)
    await isRefused('IMAGE_UNSAFE', inChunks(damaged), plan)
    await writeFile(at('second'), 'a second file')
    await runTool(['python3', '-c', ZIP, at('two.zip'), at('disk'), at('second')])
    await isRefused('IMAGE_UNSAFE', inChunks(await readFile(at('two.zip'))), plan)
  })
})
