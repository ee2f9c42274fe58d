import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { type Put, writePackedFile } from './packed-file.ts'

const at = await tempDir()
const { signal } = new AbortController()
/** Seven pieces of a MiB, with something to compress. */
const CONTENT = Buffer.alloc(7 * MiB, 'a line that comes again and again\n')
const fill = async (put: Put) => {
  for (let from = 0; from < CONTENT.length; from += MiB)
    await put(CONTENT.subarray(from, from + MiB))
}
const UNPACK: Readonly<Record<string, readonly string[]>> = {
  none: ['cat'],
  gz: ['gzip', '-dc'],
  xz: ['xz', '-dc'],
  zst: ['zstd', '-dc'],
}

describe('a packed file', () => {
  for (const packing of ['none', 'gz', 'xz', 'zst'] as const)
    it(`of ${packing} is unpacked by others, and is the same every time`, async () => {
      const [one, other] = [at(`one.${packing}`), at(`other.${packing}`)]
      await writePackedFile(one, packing, fill, signal)
      await writePackedFile(other, packing, fill, signal)
      const unpacked = await runTool([...(UNPACK[packing] ?? []), one], { maxOutput: 9 * MiB })
      assert.ok(unpacked.equals(CONTENT))
      assert.ok((await readFile(one)).equals(await readFile(other)))
    })

  for (const packing of ['none', 'gz', 'xz', 'zst'] as const)
    it(`of ${packing} fails as what fills it does`, async () => {
      const boom = new Error('boom')
      const failing = async (put: Put) => {
        await put(CONTENT)
        throw boom
      }
      const made = writePackedFile(at(`failed.${packing}`), packing, failing, signal)
      await assert.rejects(made, (error) => error === boom)
    })

  for (const packing of ['none', 'gz', 'xz'] as const)
    it(`of ${packing} stops when it is told to`, async () => {
      const stop = new AbortController()
      const interrupted = async (put: Put) => {
        await put(CONTENT)
        stop.abort()
        await put(CONTENT)
      }
      const made = writePackedFile(at(`stopped.${packing}`), packing, interrupted, stop.signal)
      await assert.rejects(made, failsWith('INTERRUPTED'))
    })

  it('tells what the program says when that gives up', async () => {
    const made = writePackedFile(at('no.squashfs'), 'squashfs', fill, signal)
    await assert.rejects(
      made,
      (error) =>
        failsWith('COMMAND_FAILED')(error) &&
        error instanceof Error &&
        /^tar2sqfs ended with 1: \S/.test(error.message),
    )
  })

  for (const packing of ['none', 'gz', 'xz'] as const)
    it(`of ${packing} does not replace what is there`, async () => {
      const path = at(`there.${packing}`)
      await writeFile(path, 'mine')
      await assert.rejects(writePackedFile(path, packing, fill, signal), /EEXIST/)
      assert.equal((await stat(path)).size, 4)
    })
})
