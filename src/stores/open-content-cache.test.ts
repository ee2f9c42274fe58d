import assert from 'node:assert/strict'
import { mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { checkRange, type Source } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { patternOf } from '../testing/store-contract.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openContentCache } from './open-content-cache.ts'

const at = await tempDir()
const bytes = patternOf(3 * MiB + 17)

/** A store elsewhere: images by id, what was asked of it, and a gate to hold its answers back. */
function makeElsewhere(images: Record<string, Buffer> = { one: bytes }) {
  const elsewhere = {
    opened: [] as string[],
    closed: 0,
    /** Bytes that were given. */
    given: 0,
    /** Reads behind this byte wait. */
    held: Infinity,
    release: () => {},
    /** Reads behind this byte fail. */
    broken: Infinity,
    open: async (id: string): Promise<Source> => {
      const content = images[id]
      elsewhere.opened.push(id)
      if (!content) throw new Failure('OBJECT_NOT_FOUND', `no ${id}`)
      const source: Source = {
        name: id,
        size: content.length,
        read: async (offset, length) => {
          checkRange(source, offset, length)
          if (offset + length > elsewhere.held) await gate.promise
          if (offset + length > elsewhere.broken) throw new Failure('STORE_AWAY', 'no answer')
          elsewhere.given += length
          return content.subarray(offset, offset + length)
        },
        [Symbol.asyncDispose]: async () => void elsewhere.closed++,
      }
      return source
    },
  }
  const gate = Promise.withResolvers<void>()
  elsewhere.release = () => {
    elsewhere.held = Infinity
    gate.resolve()
  }
  return elsewhere
}

type Elsewhere = ReturnType<typeof makeElsewhere>

let opened = 0
let clock = Date.parse('2026-01-01T00:00:00Z')
const events: string[] = []
const context = makeContext({
  now: () => new Date((clock += 1000)),
  log: { ...makeContext().log, warn: (event) => void events.push(event) },
})

async function open(
  elsewhere: Elsewhere,
  { directory = at(`cache-${opened++}`), maxSize = 100 * MiB } = {},
) {
  const cache = await openContentCache({ directory, maxSize, fetch: elsewhere.open }, context)
  const through = async (id: string) => await cache.through(id, () => elsewhere.open(id))
  /** All of an image, in pieces. */
  const download = async (id: string) => {
    await using source = await through(id)
    const pieces: Uint8Array[] = []
    for (let offset = 0; offset < source.size; offset += 300_000)
      pieces.push(await source.read(offset, Math.min(300_000, source.size - offset)))
    return Buffer.concat(pieces)
  }
  const ids = async () => (await cache.cached()).map(({ imageId }) => imageId).toSorted()
  return {
    cache,
    directory,
    through,
    download,
    ids,
    [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
  }
}

/** Until something is so, that happens by itself. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await setImmediate()
}

describe('the content cache', () => {
  it('keeps an image at its first download, and gives it from here from then on', async () => {
    const elsewhere = makeElsewhere()
    await using tried = await open(elsewhere)
    assert.ok(bytes.equals(await tried.download('one')))
    assert.ok(bytes.equals(await tried.download('one')))
    assert.deepEqual(elsewhere.opened, ['one'])
    assert.equal(elsewhere.given, bytes.length)
    assert.equal(elsewhere.closed, 1)
    await using source = await tried.through('one')
    assert.equal(typeof source.file?.descriptor, 'number')
  })

  it('fetches once, however many read, each of them as it comes', async () => {
    const elsewhere = makeElsewhere()
    elsewhere.held = 2 * MiB
    await using tried = await open(elsewhere)
    const sources = await Promise.all(Array.from({ length: 8 }, () => tried.through('one')))
    for (const source of sources)
      assert.ok(bytes.subarray(5, MiB).equals(await source.read(5, MiB - 5)), 'before it is whole')
    const rest = sources.map((source) => source.read(MiB, bytes.length - MiB))
    elsewhere.release()
    for (const found of await Promise.all(rest)) assert.ok(bytes.subarray(MiB).equals(found))
    await Promise.all(sources.map((source) => source[Symbol.asyncDispose]()))
    assert.deepEqual(elsewhere.opened, ['one'])
    assert.equal(elsewhere.given, bytes.length)
    assert.deepEqual(await tried.ids(), ['one'])
  })

  it('keeps nothing of an image that is only looked at, or left in the middle', async () => {
    const elsewhere = makeElsewhere()
    await using tried = await open(elsewhere)
    await (await tried.through('one'))[Symbol.asyncDispose]()
    assert.equal(elsewhere.given, 0)
    elsewhere.held = 2 * MiB
    const source = await tried.through('one')
    await source.read(0, 100)
    const leaving = source[Symbol.asyncDispose]()
    elsewhere.release()
    await leaving
    assert.deepEqual(await readdir(`${tried.directory}/data`), [])
    assert.equal(elsewhere.closed, 2)
    await assert.rejects(source.read(0, 1), /closed/)
    assert.ok(bytes.equals(await tried.download('one')))
  })

  it('lets nobody wait for bytes that are far away', async () => {
    const large = Buffer.alloc(70 * MiB, 7)
    const elsewhere = makeElsewhere({ large })
    await using tried = await open(elsewhere)
    elsewhere.held = MiB / 2
    const source = await tried.through('large')
    const first = source.read(0, 10)
    elsewhere.held = Infinity
    assert.equal((await source.read(large.length - 10, 10)).length, 10)
    assert.deepEqual(elsewhere.opened, ['large', 'large'])
    elsewhere.release()
    await first
    await source[Symbol.asyncDispose]()
  })

  it('passes on what the store says when it opens, to all who wait', async () => {
    const elsewhere = makeElsewhere()
    await using tried = await open(elsewhere)
    const attempts = await Promise.allSettled([tried.through('none'), tried.through('none')])
    for (const attempt of attempts) {
      assert.equal(attempt.status, 'rejected')
      assert.ok(failsWith('OBJECT_NOT_FOUND')(attempt.reason))
    }
    await assert.rejects(tried.through('../etc/passwd'), failsWith('REQUEST_INVALID'))
  })

  it('passes on that the store has gone in the middle, and keeps nothing', async () => {
    const elsewhere = makeElsewhere()
    await using tried = await open(elsewhere)
    elsewhere.broken = 2 * MiB
    await assert.rejects(tried.download('one'), failsWith('STORE_AWAY'))
    assert.deepEqual(await readdir(`${tried.directory}/data`), [])
    elsewhere.broken = Infinity
    assert.ok(bytes.equals(await tried.download('one')))
  })

  it('passes on what is larger than all that it may keep', async () => {
    const elsewhere = makeElsewhere()
    await using tried = await open(elsewhere, { maxSize: MiB })
    assert.ok(bytes.equals(await tried.download('one')))
    assert.deepEqual(await tried.ids(), [])
  })

  it('knows after a restart what it has, and how often it was used', async () => {
    const elsewhere = makeElsewhere()
    const first = await open(elsewhere)
    await first.download('one')
    for (let times = 0; times < 3; times++) await first.download('one')
    await until(async () => (await first.cache.cached())[0]?.hits === 3)
    const [before] = await first.cache.cached()
    await first[Symbol.asyncDispose]()
    await using second = await open(elsewhere, first)
    assert.deepEqual(await second.cache.cached(), [before])
    assert.equal(before?.size, bytes.length)
    assert.ok(bytes.equals(await second.download('one')))
    assert.deepEqual(elsewhere.opened, ['one'])
  })

  it('keeps what was used last when there is no room for all', async () => {
    const images = { a: patternOf(MiB), b: patternOf(MiB), c: patternOf(MiB), d: patternOf(100) }
    const elsewhere = makeElsewhere(images)
    await using tried = await open(elsewhere, { maxSize: 2.5 * MiB })
    await tried.download('a')
    await tried.download('b')
    await tried.download('a')
    await until(async () => (await tried.cache.cached()).some(({ hits }) => hits === 1))
    await tried.download('c')
    await tried.download('d')
    assert.deepEqual(await tried.ids(), ['a', 'c', 'd'])
    await using smaller = await open(elsewhere, { directory: tried.directory, maxSize: MiB })
    assert.deepEqual(await smaller.cache.prune(), { files: 2, bytes: 2 * MiB })
    assert.deepEqual(await smaller.ids(), ['d'])
  })

  it('removes one, or all, and gives those who read them the rest', async () => {
    const elsewhere = makeElsewhere({ one: bytes, two: bytes })
    await using tried = await open(elsewhere)
    await tried.download('one')
    await tried.download('two')
    await using source = await tried.through('one')
    assert.equal(await tried.cache.remove('one'), true)
    assert.equal(await tried.cache.remove('one'), false)
    assert.ok(bytes.equals(await source.read(0, bytes.length)))
    await tried.cache.clear('cache')
    assert.deepEqual(await tried.ids(), [])
  })

  it('does not keep what was removed while it came', async () => {
    const elsewhere = makeElsewhere()
    elsewhere.held = 2 * MiB
    await using tried = await open(elsewhere)
    const downloading = tried.download('one')
    await until(async () => elsewhere.given > 0)
    await tried.cache.remove('one')
    elsewhere.release()
    assert.ok(bytes.equals(await downloading))
    assert.deepEqual(await tried.ids(), [])
  })
})

describe('the queue of the content cache', () => {
  it('fetches what is queued, soon', async () => {
    const elsewhere = makeElsewhere({ one: bytes, two: bytes, three: bytes })
    await using tried = await open(elsewhere)
    for (const id of ['one', 'two', 'three', 'one']) await tried.cache.enqueue(id)
    await until(async () => (await tried.cache.queued()).length === 0)
    assert.deepEqual(await tried.ids(), ['one', 'three', 'two'])
    assert.deepEqual(elsewhere.opened.toSorted(), ['one', 'three', 'two'])
    await tried.cache.enqueue('one')
    assert.deepEqual(await tried.cache.queued(), [])
  })

  it('is there after a restart, and goes on', async () => {
    const elsewhere = makeElsewhere()
    elsewhere.broken = 0
    const first = await open(elsewhere)
    await first.cache.enqueue('one')
    await until(async () => events.includes('cache.not-fetched'))
    assert.deepEqual(await first.cache.queued(), ['one'])
    await first[Symbol.asyncDispose]()
    elsewhere.broken = Infinity
    await using second = await open(elsewhere, first)
    await until(async () => (await second.ids()).length === 1)
    await until(async () => (await second.cache.queued()).length === 0)
  })

  it('forgets what is not there, what is taken out, and everything when told so', async () => {
    const elsewhere = makeElsewhere()
    elsewhere.broken = 0
    await using tried = await open(elsewhere)
    await tried.cache.enqueue('none')
    await until(async () => (await tried.cache.queued()).length === 0)
    await tried.cache.enqueue('one')
    assert.equal(await tried.cache.remove('one'), true)
    assert.deepEqual(await tried.cache.queued(), [])
    await tried.cache.enqueue('one')
    await tried.cache.clear('queue')
    assert.deepEqual(await tried.cache.queued(), [])
    await assert.rejects(tried.cache.enqueue('../x'), failsWith('REQUEST_INVALID'))
  })
})

describe('the directory of the content cache', () => {
  it('is cleaned of what is broken, and of what dead processes were making', async () => {
    const elsewhere = makeElsewhere({ one: bytes, two: bytes, three: bytes })
    await using tried = await open(elsewhere)
    for (const id of ['one', 'two', 'three']) await tried.download(id)
    const data = `${tried.directory}/data`
    await truncate(`${data}/one`, 100)
    await writeFile(`${data}/two.json`, 'not what we wrote')
    await writeFile(`${data}/.four.ingot-999999999-1-fetch-1`, 'unfinished')
    await writeFile(`${data}/five`, 'without notes')
    assert.ok(bytes.equals(await tried.download('one')), 'what is cut short is fetched again')
    await tried.cache.clean()
    assert.deepEqual((await readdir(data)).toSorted(), ['one', 'one.json', 'three', 'three.json'])
  })

  it('may be shared', async () => {
    const elsewhere = makeElsewhere({ one: bytes, two: patternOf(MiB) })
    await using first = await open(elsewhere)
    await using second = await open(elsewhere, first)
    const both = [first.download('one'), second.download('one'), first.download('two')]
    for (const found of await Promise.all(both)) assert.ok(found.length >= MiB)
    await Promise.all([first.cache.clean(), second.cache.clean()])
    assert.deepEqual(await first.ids(), ['one', 'two'])
    assert.deepEqual(await second.ids(), ['one', 'two'])
    assert.ok(bytes.equals(await second.download('one')))
  })

  it('breaks no download when it has gone, or cannot be read', async () => {
    const elsewhere = makeElsewhere()
    await using tried = await open(elsewhere)
    await tried.download('one')
    await rm(`${tried.directory}/data/one`)
    await mkdir(`${tried.directory}/data/one`)
    assert.ok(bytes.equals(await tried.download('one')))
    await rm(tried.directory, { recursive: true })
    assert.ok(bytes.equals(await tried.download('one')))
    assert.ok(bytes.equals(await tried.download('one')))
    assert.ok(events.includes('cache.not-kept'))
  })

  it(
    'breaks no download when its disk is full',
    { skip: process.getuid?.() !== 0 && 'only root may mount a small disk' },
    async (t) => {
      await mkdir(at('small'))
      await runTool(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', at('small')])
      t.after(async () => await runTool(['umount', at('small')]))
      const elsewhere = makeElsewhere()
      await using tried = await open(elsewhere, { directory: at('small') })
      const downloads = await Promise.all([tried.download('one'), tried.download('one')])
      for (const found of downloads) assert.ok(bytes.equals(found))
      assert.deepEqual(await readdir(at('small/data')), [])
    },
  )

  it('has to be one that can be made', async () => {
    await writeFile(at('taken'), '')
    await assert.rejects(
      open(makeElsewhere(), { directory: at('taken') }),
      failsWith('FILE_UNREADABLE'),
    )
  })
})
