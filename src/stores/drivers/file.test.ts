import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeContext } from '../../base/context.ts'
import { runTool } from '../../base/process.ts'
import { KiB, MiB } from '../../base/units.ts'
import { DigestThreads } from '../../bytes/digest-threads.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { patternOf, storeContract } from '../../testing/store-contract.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openStore } from '../open-store.ts'
import { fileDriver } from './file.ts'

const at = await tempDir()
const open = async (directory: string, options = {}) =>
  await openStore(
    { id: 'disk', type: 'file', options: { data_dir: at(directory), ...options } },
    fileDriver,
    { ...makeContext(), dataDir: at('service') },
  )

/** Names of all files below a directory. */
const filesIn = async (directory: string) =>
  (await readdir(at(directory), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)

storeContract('file, past the cache', async () => ({
  store: await open('past-cache', { cached_size: 0 }),
  cut: async () => await rename(at('past-cache'), at('past-cache-unmounted')),
}))

storeContract('file', async () => ({
  store: await open('contract'),
  cut: async () => await rename(at('contract'), at('unmounted')),
}))

describe('a store of files', () => {
  it('stands in the directory of the service unless it is told otherwise', async () => {
    const context = { ...makeContext(), dataDir: at('service') }
    await using store = await openStore({ id: 'disk', type: 'file' }, fileDriver, context)
    assert.equal(store.properties['data_dir'], at('service/images'))
    assert.equal((await stat(at('service/images'))).mode & 0o777, 0o700)
  })

  it('spreads objects over directories, and says where each is', async () => {
    await using store = await open('spread')
    for (let index = 0; index < 20; index++) await write(store, `image-${index}`, Buffer.from('x'))
    assert.ok((await readdir(at('spread'))).length > 5)
    const path = fileURLToPath(store.locate('image-7'))
    assert.equal((await stat(path)).size, 1)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })

  it('keeps holes: what is zero takes no room, where it was written before too', async () => {
    await using store = await open('holes')
    await using writer = await store.create('sparse')
    await writer.write(0, patternOf(64 * KiB))
    await writer.zeros(64 * KiB, 40 * MiB)
    await writer.write(50 * MiB, patternOf(4 * MiB))
    await writer.zeros(50 * MiB, 4 * MiB)
    await writer.zeros(20 * MiB, 10 * MiB)
    await writer.finish(100 * MiB)
    const { size, blocks } = await stat(fileURLToPath(store.locate('sparse')))
    assert.equal(size, 100 * MiB)
    assert.ok(blocks * 512 <= 1 * MiB, `${blocks} blocks`)
    await using source = await store.open('sparse')
    assert.ok(Buffer.alloc(4 * MiB).equals(await source.read(50 * MiB, 4 * MiB)))
  })

  it('keeps every byte past the cache, however blocks stand in memory and in the file', async () => {
    await using store = await open('direct', { cached_size: 0 })
    await using writer = await store.create('mixed')
    const memory = new DigestThreads().ring([])
    const block = await memory.take()
    const content = patternOf(4 * MiB + 777)
    const parts = [
      { at: 0, length: 1 * MiB, isAligned: true },
      { at: 1 * MiB, length: 1000, isAligned: true },
      { at: 1 * MiB + 1000, length: 1 * MiB - 1000, isAligned: true },
      { at: 2 * MiB, length: 1 * MiB, isAligned: true },
      { at: 3 * MiB, length: 1 * MiB, isAligned: false },
      { at: 4 * MiB, length: 777, isAligned: true },
      { at: 512 * KiB, length: 1 * MiB, isAligned: true }, // once more
    ]
    for (const { at: start, length, isAligned } of parts) {
      const bytes = content.subarray(start, start + length)
      if (!isAligned) await writer.write(start, bytes)
      else {
        block.set(bytes)
        await writer.write(start, block.subarray(0, length))
      }
    }
    await writer.finish(content.length)
    await using source = await store.open('mixed')
    assert.ok(content.equals(await source.read(0, content.length)))
  })

  it('gives the open file, for the kernel to move its bytes', async () => {
    await using store = await open('opened')
    await write(store, 'image', Buffer.from('some bytes'))
    await using source = await store.open('image')
    assert.equal(source.file?.offset, 0)
    assert.equal(typeof source.file?.descriptor, 'number')
  })

  it('lists what a dead process left unfinished, and removes it', async () => {
    await using store = await open('leftovers')
    const writer = await store.create('cut-off')
    await writer.write(0, Buffer.alloc(1000, 1))
    const [found] = await Array.fromAsync(store.list!())
    assert.deepEqual(
      { ...found, modifiedAt: 0 },
      { key: 'cut-off', size: 1000, modifiedAt: 0, finished: false },
    )
    await store.remove('cut-off')
    assert.deepEqual(await filesIn('leftovers'), [])
    await assert.rejects(writer.finish(1000), failsWith('OBJECT_NOT_FOUND'))
    assert.deepEqual(await filesIn('leftovers'), [])
  })

  it('never writes over an object, and has one writer for each', async () => {
    await using store = await open('once')
    await write(store, 'image', Buffer.from('first'))
    await assert.rejects(store.create('image'))
    await using first = await store.create('other')
    await assert.rejects(store.create('other'))
    await first.write(0, Buffer.from('x'))
    await using source = await store.open('image')
    assert.equal(Buffer.from(await source.read(0, 5)).toString(), 'first')
    assert.deepEqual((await filesIn('once')).toSorted(), ['image', 'other~part'])
  })

  it('goes on giving an object that is removed meanwhile to those who read it', async () => {
    await using store = await open('removed')
    await write(store, 'image', Buffer.from('still here'))
    await using source = await store.open('image')
    await store.remove('image')
    assert.equal(Buffer.from(await source.read(0, 10)).toString(), 'still here')
  })

  it('knows how much room is left', async () => {
    await using store = await open('room')
    assert.ok(((await store.free()) ?? 0) > 0)
  })

  it('does not make its directory again when that has gone: something is to be mounted there', async () => {
    await using store = await open('mount')
    await rm(at('mount'), { recursive: true })
    await assert.rejects(store.create('image'), failsWith('STORE_AWAY'))
    await assert.rejects(Array.fromAsync(store.list!()), failsWith('STORE_AWAY'))
    await assert.rejects(stat(at('mount')))
  })

  it(
    'says that a directory is not its own to use',
    { skip: process.getuid?.() === 0 && 'root may write anywhere' },
    async () => {
      await mkdir(at('closed'), { mode: 0o500 })
      await using store = await open('closed')
      await assert.rejects(store.create('image'), failsWith('STORE_DENIED'))
      await chmod(at('closed'), 0o700)
    },
  )

  it(
    'says that its disk is full, and leaves nothing of what did not fit',
    { skip: process.getuid?.() !== 0 && 'only root may mount a small disk' },
    async (t) => {
      await mkdir(at('full'))
      await runTool(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'none', at('full')])
      t.after(async () => await runTool(['umount', at('full')]))
      await using store = await open('full')
      await assert.rejects(async () => {
        await using writer = await store.create('large')
        for (let offset = 0; offset < 4 * MiB; offset += MiB)
          await writer.write(offset, patternOf(MiB))
        await writer.finish(4 * MiB)
      }, failsWith('STORE_FULL'))
      assert.deepEqual(await filesIn('full'), [])
      await write(store, 'small', patternOf(MiB))
    },
  )

  it('refuses to stand where a file is', async () => {
    await writeFile(at('file'), '')
    await assert.rejects(open('file'), failsWith('STORE_AWAY'))
  })
})

async function write(store: Awaited<ReturnType<typeof open>>, key: string, bytes: Uint8Array) {
  await using writer = await store.create(key, bytes.length)
  await writer.write(0, bytes)
  await writer.finish(bytes.length)
}
