import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { KiB, MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { lengthOf, type Piece } from './piece.ts'
import { sendPieces, type Sink } from './send-pieces.ts'
import { digestSink, fileSink, teeSink } from './sinks.ts'
import { memorySource, openFileSource, type Source, windowOf } from './source.ts'

const at = await tempDir()
const disk = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 31) % 253))
const store = Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 7) % 241))
const origins = { disk: memorySource(disk), store: memorySource(store) }

const copies = (of: 'disk' | 'store', bytes: Buffer) =>
  fc
    .tuple(fc.nat(bytes.length), fc.nat(bytes.length))
    .map(([a, b]): Piece => ({ kind: 'copy', of, offset: Math.min(a, b), length: Math.abs(a - b) }))
const pieces = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 400 }).map((bytes): Piece => ({ kind: 'bytes', bytes })),
    fc.nat(40_000).map((length): Piece => ({ kind: 'zeros', length })),
    copies('disk', disk),
    copies('store', store),
  ),
  { maxLength: 30 },
)

function contentOf(list: readonly Piece[]): Buffer {
  return Buffer.concat(
    list.map((piece) => {
      if (piece.kind === 'bytes') return piece.bytes
      if (piece.kind === 'zeros') return Buffer.alloc(piece.length)
      const { offset, length } = piece
      return (piece.of === 'disk' ? disk : store).subarray(offset, offset + length)
    }),
  )
}

/** Keeps what it is given; what it reads from memory it reads only when the write ends. */
function slowSink(): { sink: Sink; content: () => Buffer } {
  const parts: Buffer[] = []
  let last: Promise<void> = Promise.resolve()
  const sink: Sink = {
    write: async (bytes) => {
      const before = last
      const { promise, resolve } = Promise.withResolvers<void>()
      last = promise
      await before
      await new Promise(setImmediate)
      parts.push(Buffer.from(bytes))
      resolve()
    },
  }
  return { sink, content: () => Buffer.concat(parts) }
}

describe('sending pieces', () => {
  it('brings every byte in its order, whatever the pieces and the buffers', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: 1, max: 700 }), async (list, chunk) => {
        const { sink, content } = slowSink()
        const sent = await sendPieces(list, origins, sink, { chunk })
        assert.deepEqual(content(), contentOf(list))
        assert.equal(
          sent,
          list.reduce((sum, piece) => sum + lengthOf(piece), 0),
        )
      }),
    )
  })

  it('brings every byte in its order when the sink copies some of them by itself', async () => {
    const bytes = Buffer.from(Array.from({ length: 400_000 }, (_, index) => (index * 31) % 253))
    await writeFile(at('copied'), bytes)
    await using file = await openFileSource(at('copied'))
    const part = fc.tuple(fc.nat(bytes.length), fc.nat(bytes.length))
    const asks = fc.array(fc.nat(200_000), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), asks, async (parts, takes) => {
        const ranges = parts.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
        const list = ranges.map(([offset, end]): Piece => {
          return { kind: 'copy', of: 'disk', offset, length: end - offset }
        })
        const { sink, content } = slowSink()
        let asked = 0
        const copy: Sink['copy'] = async ({ offset }, length) => {
          const taken = Math.min(length, takes[asked++ % takes.length] ?? 0)
          await sink.write(bytes.subarray(offset, offset + taken))
          return taken
        }
        const sent = await sendPieces(list, { disk: file }, { ...sink, copy }, { chunk: 1000 })
        const wanted = ranges.map(([offset, end]) => bytes.subarray(offset, end))
        assert.deepEqual(content(), Buffer.concat(wanted))
        assert.equal(sent, content().length)
      }),
      { numRuns: 30 },
    )
  })

  it('makes few writes of many short pieces', async () => {
    let writes = 0
    const list = Array.from({ length: 10_000 }, (_, index): Piece => ({
      kind: 'bytes',
      bytes: Buffer.alloc(100, index),
    }))
    await sendPieces(list, origins, { write: () => void writes++ })
    assert.equal(writes, Math.ceil(1_000_000 / (256 * KiB)))
  })

  it('reads the next bytes while the last are being written, and no more than the ring holds', async () => {
    let read = 0
    const source: Source = {
      ...memorySource(Buffer.alloc(20 * 64 * KiB)),
      read: async (_offset, length) => {
        read += length
        return Buffer.alloc(length)
      },
    }
    const releases: (() => void)[] = []
    const sink: Sink = { write: () => new Promise((resolve) => releases.push(resolve)) }
    const list: Piece[] = [{ kind: 'copy', of: 'disk', offset: 0, length: source.size }]
    const sending = sendPieces(list, { disk: source }, sink, { chunk: 64 * KiB })
    await new Promise(setImmediate)
    assert.equal(read, 4 * 64 * KiB)
    assert.equal(releases.length, 3)
    while (releases.length > 0) {
      releases.shift()?.()
      await new Promise(setImmediate)
    }
    assert.equal(await sending, source.size)
  })

  it('lets the sink make zeros and copy between files by itself, in order', async () => {
    await writeFile(at('disk'), Buffer.alloc(3 * MiB, 7))
    await using source = await openFileSource(at('disk'))
    const seen: string[] = []
    const sink: Sink = {
      write: (bytes) => void seen.push(`write ${bytes.length}`),
      zeros: (length) => void seen.push(`zeros ${length}`),
      copy: async ({ offset }, length) => {
        seen.push(`copy ${offset} ${length}`)
        return Math.min(length, 512 * KiB) // no more just now
      },
    }
    const list: Piece[] = [
      { kind: 'bytes', bytes: Buffer.alloc(100) },
      { kind: 'zeros', length: 100 },
      { kind: 'zeros', length: MiB },
      { kind: 'copy', of: 'disk', offset: 5, length: 10 },
      { kind: 'copy', of: 'disk', offset: MiB, length: MiB },
    ]
    await sendPieces(list, { disk: source }, sink)
    assert.deepEqual(seen, [
      'write 200',
      `zeros ${MiB}`,
      'write 10',
      `copy ${MiB} ${MiB}`,
      `write ${64 * KiB}`,
      `copy ${MiB + 576 * KiB} ${448 * KiB}`,
    ])
  })

  it('has no sink copy more of a file than is the source’s', async () => {
    await writeFile(at('long'), Buffer.alloc(2 * MiB))
    await using source = await openFileSource(at('long'))
    const disk = windowOf(source, 0, MiB, 'the window')
    const sink: Sink = { write: () => {}, copy: async (_file, length) => length }
    const list: Piece[] = [{ kind: 'copy', of: 'disk', offset: 0, length: MiB + 1 }]
    await assert.rejects(sendPieces(list, { disk }, sink), failsWith('IMAGE_TRUNCATED'))
  })

  it('ends with what the sink or the source failed with, and leaves nothing under way', async () => {
    let open = 0
    const failing: Sink = {
      write: async () => {
        open++
        await new Promise(setImmediate)
        open--
        throw new Error('the pipe is closed')
      },
    }
    const list: Piece[] = [{ kind: 'copy', of: 'disk', offset: 0, length: 5000 }]
    await assert.rejects(sendPieces(list, origins, failing, { chunk: 64 }), /the pipe is closed/)
    assert.equal(open, 0)
    const tooFar: Piece[] = [{ kind: 'copy', of: 'store', offset: 0, length: 5000 }]
    await assert.rejects(sendPieces(tooFar, origins, slowSink().sink), failsWith('IMAGE_TRUNCATED'))
  })

  it('stops when it is interrupted', async () => {
    const controller = new AbortController()
    let writes = 0
    const sink: Sink = {
      write: () => {
        if (++writes === 3) controller.abort()
      },
    }
    const list: Piece[] = [{ kind: 'copy', of: 'disk', offset: 0, length: 5000 }]
    await assert.rejects(
      sendPieces(list, origins, sink, { chunk: 64, signal: controller.signal }),
      failsWith('INTERRUPTED'),
    )
    assert.equal(writes, 3)
  })
})

describe('sinks', () => {
  const list: Piece[] = [
    { kind: 'bytes', bytes: Buffer.from('head') },
    { kind: 'zeros', length: MiB - 4 },
    { kind: 'copy', of: 'disk', offset: 100, length: 4900 },
    { kind: 'zeros', length: 3 * MiB },
  ]

  it('a file keeps holes and has the whole length', async () => {
    await using file = await open(at('out'), 'wx')
    const sink = fileSink(file)
    await sendPieces(list, origins, sink)
    const size = await sink.finish()
    assert.equal(size, 4 * MiB + 4900)
    assert.deepEqual(await readFile(at('out')), contentOf(list))
    assert.ok((await stat(at('out'))).blocks * 512 < 64 * KiB)
  })

  it('a digest is of all bytes, also beside another sink', async () => {
    const hash = createHash('sha256')
    const { sink, content } = slowSink()
    await sendPieces(list, origins, teeSink(sink, digestSink(hash)))
    assert.equal(hash.digest('hex'), createHash('sha256').update(contentOf(list)).digest('hex'))
    assert.deepEqual(content(), contentOf(list))
  })
})
