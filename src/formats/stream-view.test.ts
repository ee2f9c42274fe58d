import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Context, makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { MiB, SECTOR } from '../base/units.ts'
import { sendPieces } from '../bytes/send-pieces.ts'
import type { Source } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { mixedDisk } from '../testing/mixed-disk.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { bytesOf } from '../testing/view-bytes.ts'
import { openClusterStore } from './cluster-store.ts'
import type { ClusterCodec } from './cluster-index.ts'
import { type DiskMap, DiskMapBuilder } from './disk-map.ts'
import { GrowingStore } from './make-cluster-store.ts'
import { streamView } from './stream-view.ts'
import { makeView, orderView, VIEW_FORMATS } from './views.ts'

const at = await tempDir()
const never = new AbortController().signal

function mapOf(size: number, ...runs: (readonly [from: number, to: number])[]): DiskMap {
  const builder = new DiskMapBuilder()
  for (const [from, to] of runs) builder.add(from, to)
  return builder.toMap(size)
}

const MAPS = {
  'many batches and a short end': mapOf(
    70 * MiB - SECTOR,
    [3, 90],
    [100, 101],
    [511, 600],
    [1119, 1120],
  ),
  'no data': mapOf(5 * MiB),
  'one sector': mapOf(SECTOR, [0, 1]),
}
const ORDERED = VIEW_FORMATS.filter(({ order }) => order !== undefined)

/** All that a stream tells; `pause` is waited for after each part. */
async function readAll(
  name: string,
  growing: GrowingStore,
  { disk, pause = async () => {} }: { disk: Source; pause?: () => Promise<unknown> },
): Promise<Buffer> {
  const content = orderView(name, {
    map: growing.index.map,
    identity: 'x',
    clusters: growing.index,
  })
  assert.ok(content !== undefined)
  const chunks: Buffer[] = []
  const sink = { write: (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes)) }
  for await (const { pieces, origins } of streamView(content, growing, disk, never)) {
    await sendPieces(pieces, origins, sink)
    await pause()
  }
  return Buffer.concat(chunks)
}

let paths = 0
function grow(
  map: DiskMap,
  codec: ClusterCodec,
  { path = at(`store-${paths++}`), disk = mixedDisk(map), context = makeContext() } = {},
): { growing: GrowingStore; path: string } {
  return { growing: new GrowingStore({ disk, map, codec, path }, context), path }
}

const lost: Source['read'] = () => Promise.reject(new Failure('REMOTE_LOST', 'gone'))

describe('a view that is told while it is made', () => {
  for (const [disk, map] of Object.entries(MAPS))
    it(`has the bytes that it has later: ${disk}`, async () => {
      for (const codec of ['deflate', 'zstd'] as const) {
        const { growing, path } = grow(map, codec)
        const formats = ORDERED.filter(({ needs }) => needs === codec)
        const streams = formats.map(({ name }) => readAll(name, growing, { disk: mixedDisk(map) }))
        const streamed = await Promise.all(streams)
        await (await growing.whole)[Symbol.asyncDispose]()
        await using store = await openClusterStore(path)
        for (const [index, { name }] of formats.entries()) {
          const view = makeView(name, { map, identity: 'x', clusters: store.index })
          const origins = { disk: mixedDisk(map), store: store.payload }
          assert.ok((await bytesOf(view, origins)).equals(streamed[index] ?? Buffer.of()), name)
        }
      }
    })

  it('comes at the pace of each client: one that is slow holds up nobody', async () => {
    const map = MAPS['many batches and a short end']
    const disk = mixedDisk(map)
    const { growing } = grow(map, 'deflate')
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    const slow = readAll('raw.gz', growing, { disk, pause: () => held })
    const quick = await readAll('raw.gz', growing, { disk })
    await using _ = await growing.whole
    release()
    assert.ok((await slow).equals(quick))
  })

  it('is told to the end when it cannot be kept, from wherever it was', async () => {
    const map = MAPS['many batches and a short end']
    const disk = mixedDisk(map)
    const { growing } = grow(map, 'zstd')
    await using _ = await growing.whole
    const whole = await readAll('raw.zst', growing, { disk })

    const { growing: nowhere } = grow(map, 'zstd', { path: at('no/such/directory') })
    assert.ok((await readAll('raw.zst', nowhere, { disk })).equals(whole))
    await assert.rejects(nowhere.whole, failsWith('FILE_NOT_FOUND'))

    const [first, rest] = [Buffer.alloc(growing.payload.size), Buffer.alloc(growing.payload.size)]
    for (const [target, from] of [
      [first, 0],
      [rest, 50],
    ] as const) {
      let told: number = from
      for await (const { store, to } of growing.alone(from, never)) {
        const [start, end] = [growing.index.offset(told), growing.index.offset(to)]
        target.set(await store.read(start, end - start), start)
        told = to
      }
      assert.equal(told, map.dataUnits)
    }
    const start = growing.index.offset(50)
    assert.ok(rest.subarray(start).equals(first.subarray(start)))
  })

  it('fails before its first byte when the disk cannot be read', async () => {
    const map = MAPS['many batches and a short end']
    const disk = { ...mixedDisk(map), read: lost }
    const { growing } = grow(map, 'deflate', { disk })
    let told = 0
    const pause = async () => void told++
    await assert.rejects(readAll('raw.gz', growing, { disk, pause }), failsWith('REMOTE_LOST'))
    assert.equal(told, 0)
  })

  it('ends when its client leaves, or the server does', async () => {
    const map = MAPS['many batches and a short end']
    const { promise: stuck, reject: giveUp } = Promise.withResolvers<never>()
    stuck.catch(() => {})
    const disk = { ...mixedDisk(map), read: () => stuck }
    const end = new AbortController()
    const context: Context = makeContext({ signal: end.signal })
    const { growing } = grow(map, 'deflate', { disk, context })
    const left = new AbortController()
    const waiting = growing.more(0, left.signal)
    left.abort()
    await assert.rejects(waiting, failsWith('INTERRUPTED'))
    end.abort()
    giveUp(new Error('the disk is closed'))
    await assert.rejects(growing.whole)
  })
})
