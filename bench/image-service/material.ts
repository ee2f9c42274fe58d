/** Files that are sent: made once, and in the page cache, so that no disk of the client is measured. */
import { randomFillSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { runTool } from '../../src/base/process.ts'
import { MiB } from '../../src/base/units.ts'
import type { Place } from '../place.ts'

/** Of a sparse file: a MiB of data in so many. */
const SPARSE_STEP = 64 * MiB

export class Material {
  readonly #place: Place

  constructor(place: Place) {
    this.#place = place
  }

  /** Random bytes everywhere. */
  async dense(size: number): Promise<string> {
    return await this.#once(`dense-${size}.raw`, (path) => writeParts(path, size, MiB))
  }

  /** Zeros, and a MiB of random bytes in every 64. */
  async sparse(size: number): Promise<string> {
    return await this.#once(`sparse-${size}.raw`, (path) => writeParts(path, size, SPARSE_STEP))
  }

  /** The dense one, as qcow2. */
  async qcow2(size: number): Promise<string> {
    const raw = await this.dense(size)
    return await this.#asQcow2(raw, `dense-${size}.qcow2`)
  }

  /** The sparse one, as qcow2. */
  async sparseQcow2(size: number): Promise<string> {
    const raw = await this.sparse(size)
    return await this.#asQcow2(raw, `sparse-${size}.qcow2`)
  }

  async #asQcow2(raw: string, name: string): Promise<string> {
    return await this.#once(name, async (path) => {
      await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, path])
    })
  }

  async #once(name: string, make: (path: string) => Promise<void>): Promise<string> {
    const path = this.#place.at(name)
    if (!existsSync(path)) await make(path)
    return path
  }
}

async function writeParts(path: string, size: number, step: number): Promise<void> {
  await using file = await open(path, 'w')
  await file.truncate(size)
  const part = Buffer.alloc(MiB)
  for (let at = 0; at < size; at += step)
    await file.write(randomFillSync(part), 0, Math.min(MiB, size - at), at)
}
