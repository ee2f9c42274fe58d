/** Arithmetic of the compressed views, over indexes of clusters that nobody has compressed. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { MiB, SECTOR, TiB } from '../../base/units.ts'
import { checkRange, type Source } from '../../bytes/source.ts'
import { mapOf } from '../../testing/disk-map-of.ts'
import { bytesOf, numberedDisk } from '../../testing/view-bytes.ts'
import {
  type ClusterCodec,
  type ClusterIndex,
  ClusterIndexBuilder,
  parseClusterIndex,
} from '../cluster-index.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from '../disk-map.ts'
import { makeView, VIEW_FORMATS } from '../views.ts'

const COMPRESSED = VIEW_FORMATS.filter(({ needs }) => needs !== 'map')

/** An index whose clusters have the lengths that `lengthOf` tells; 0 for one that does not shrink. */
function indexOf(
  map: DiskMap,
  codec: ClusterCodec,
  lengthOf: (cluster: number) => number,
): ClusterIndex {
  const builder = new ClusterIndexBuilder(map, codec, 4, 'ed'.repeat(32))
  const clusters = Array.from({ length: map.dataUnits }, (_, cluster) => cluster)
  builder.add({
    lengths: Uint16Array.from(clusters, lengthOf),
    crcs: Uint32Array.from(clusters, (cluster) => cluster * 3_000_017),
    adlers: Uint32Array.from(clusters, (cluster) => cluster * 5_000_011),
  })
  return parseClusterIndex(builder.toBytes(), 'index')
}

/** Payloads whose bytes tell where they are. */
function payloadsOf(index: ClusterIndex): Source {
  const source: Source = {
    name: 'payloads',
    size: index.payloadSize,
    read: async (offset, length) => {
      checkRange(source, offset, length)
      return Uint8Array.from({ length }, (_, at) => ((offset + at) * 40_503) >>> 8)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}

const anyMap = fc
  .integer({ min: 1, max: (40 * MiB) / SECTOR })
  .chain((sectors) =>
    fc
      .uniqueArray(fc.nat(Math.ceil((sectors * SECTOR) / UNIT) - 1), { maxLength: 30 })
      .map((units) => mapOf(sectors * SECTOR, units)),
  )
const anyLengths = fc.array(
  fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65_535 }), fc.nat(90)),
  {
    minLength: 30,
    maxLength: 30,
  },
)

/** Version and the start of the SHA-256 of one disk in each format. */
const PINNED = {
  'ova-virtualbox': '1 7f4126a6e6fe0aa7',
  'qcow2-zlib': '1 c4a1e2093a414280',
  'qcow2-zstd': '1 d0be21262e81cf33',
  'raw.gz': '1 a350b7dee9598f0c',
  'raw.zst': '1 8021d1225362b948',
  'vmdk-stream': '1 9f51b284efabba5e',
  gce: '1 c3fab162a8016d52',
  ova: '1 ecafc31975e3ec8d',
}

describe('every compressed view', () => {
  for (const { name, needs } of COMPRESSED)
    it(`gives the same bytes by any range as at once, and each time: ${name}`, async () => {
      const ranges = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 3, maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(anyMap, anyLengths, ranges, async (map, lengths, parts) => {
          const clusters = indexOf(map, needs as ClusterCodec, (cluster) => lengths[cluster]!)
          const input = { map, identity: 'golden', clusters }
          const view = makeView(name, input)
          const origins = { disk: numberedDisk(map), store: payloadsOf(clusters) }
          const whole = await bytesOf(view, origins)
          assert.equal(makeView(name, input).etag, view.etag)
          for (const [seed, other] of parts) {
            const from = seed % (view.length + 1)
            const to = from + (other % (view.length - from + 1))
            const part = await bytesOf(view, origins, from, to)
            assert.equal(Buffer.compare(part, whole.subarray(from, to)), 0, `${from} to ${to}`)
          }
        }),
        { numRuns: 15 },
      )
    })

  it('is pinned: other bytes need another version, and a new line here', async () => {
    const map = mapOf(40 * MiB + SECTOR, [0, 1, 7, 300, 639, 640])
    const found: Record<string, string> = {}
    for (const { name, needs, version } of COMPRESSED) {
      const lengths = [900, 0, 60_000, 17, 0, 300]
      const clusters = indexOf(map, needs as ClusterCodec, (cluster) => lengths[cluster]!)
      const view = makeView(name, { map, identity: 'golden', clusters })
      const origins = { disk: numberedDisk(map), store: payloadsOf(clusters) }
      const bytes = await bytesOf(view, origins)
      found[name] = `${version} ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`
    }
    assert.deepEqual(found, PINNED)
  })

  it('has an ETag that changes with what was compressed, and how', () => {
    const map = mapOf(MiB, [1, 5])
    for (const { name, needs } of COMPRESSED) {
      const etags = [100, 101].map((length) => {
        const clusters = indexOf(map, needs as ClusterCodec, () => length)
        return makeView(name, { map, identity: 'golden', clusters }).etag
      })
      assert.notEqual(etags[0], etags[1], name)
    }
  })

  it('is made of the clusters of the same disk only, in the right way', () => {
    const map = mapOf(MiB, [1, 5])
    const clusters = indexOf(mapOf(MiB, [1, 6]), 'deflate', () => 100)
    for (const { name } of COMPRESSED) {
      assert.throws(() => makeView(name, { map, identity: 'x', clusters }), RangeError)
      assert.throws(() => makeView(name, { map, identity: 'x' }), RangeError)
    }
    const input = { map, identity: 'x', clusters: indexOf(map, 'deflate', () => 100) }
    assert.throws(() => makeView('qcow2-zstd', input), RangeError)
    const wide = { map, identity: 'x', clusters: indexOf(map, 'deflate-wide', () => 100) }
    assert.throws(() => makeView('qcow2-zlib', wide), RangeError)
    for (const { name } of COMPRESSED.filter(({ smallestOf }) => smallestOf === 'deflate-wide'))
      assert.notEqual(makeView(name, wide).etag, makeView(name, input).etag)
  })

  it('is told in few pieces: payloads that follow each other are copied at once', () => {
    const map = mapOf(
      64 * MiB,
      Array.from({ length: 1024 }, (_, unit) => unit),
    )
    for (const name of ['qcow2-zstd', 'raw.zst']) {
      const clusters = indexOf(map, 'zstd', () => 20_000)
      const view = makeView(name, { map, identity: 'x', clusters })
      const copies = [...view.pieces(0, view.length)].filter(({ kind }) => kind === 'copy')
      assert.deepEqual(copies, [{ kind: 'copy', of: 'store', offset: 0, length: 1024 * 20_000 }])
    }
  })

  it('tells any part of 2 TiB, scattered', async () => {
    const builder = new DiskMapBuilder()
    for (let unit = 0; unit < (2 * TiB) / UNIT; unit += 1024) builder.add(unit, unit + 3)
    const map = builder.toMap(2 * TiB)
    for (const { name, needs } of COMPRESSED) {
      const clusters = indexOf(map, needs as ClusterCodec, (cluster) => (cluster * 7919) % 65_536)
      const view = makeView(name, { map, identity: 'x', clusters })
      const origins = { disk: numberedDisk(map), store: payloadsOf(clusters) }
      for (const at of [0, Math.floor(view.length / 3), view.length - 9000]) {
        const long = await bytesOf(view, origins, at, at + 9000)
        const short = await bytesOf(view, origins, at + 4000, at + 4100)
        assert.equal(Buffer.compare(long.subarray(4000, 4100), short), 0, name)
      }
    }
  })
})
