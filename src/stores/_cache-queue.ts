/** Images that are to be fetched soon: one empty file for each, so that a restart goes on with them. */
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { isFailure, messageOf } from '../base/failure.ts'
import { checkImageId, ignoreMissing } from './_cached-files.ts'

/** Fetches at a time. */
const LANES = 2
/** Until what could not be fetched is tried again. */
const PAUSE_MS = 60_000

export class CacheQueue {
  readonly #directory: string
  readonly #fetch: (imageId: string) => Promise<void>
  readonly #context: Context
  readonly #underWay = new Map<string, Promise<void>>()
  /** Those that wait for the pause to end. */
  readonly #failed = new Set<string>()
  #pause: NodeJS.Timeout | undefined
  #closed = false

  constructor(directory: string, fetch: (imageId: string) => Promise<void>, context: Context) {
    this.#directory = join(directory, 'queue')
    this.#fetch = fetch
    this.#context = context
  }

  /** Begins with what an earlier process left. */
  async start(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    await this.#pump()
  }

  async add(imageId: string): Promise<void> {
    await writeFile(join(this.#directory, checkImageId(imageId)), '')
    this.#failed.delete(imageId)
    await this.#pump()
  }

  /** The one that waits longest first. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#directory)
    const found = await Promise.all(
      names.map(async (name) => {
        const since = (await stat(join(this.#directory, name)).catch(ignoreMissing))?.mtimeMs
        return { name, since }
      }),
    )
    return found
      .filter((one): one is { name: string; since: number } => one.since !== undefined)
      .toSorted((a, b) => a.since - b.since || (a.name < b.name ? -1 : 1))
      .map(({ name }) => name)
  }

  async remove(imageId: string): Promise<boolean> {
    const path = join(this.#directory, checkImageId(imageId))
    const isThere = (await stat(path).catch(ignoreMissing)) !== undefined
    await rm(path, { force: true })
    return isThere
  }

  /** Resolves when nothing is fetched any more. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#pause)
    await this.idle()
  }

  /** Resolves when everything that can be fetched is. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values())
  }

  async #pump(): Promise<void> {
    if (this.#closed || this.#underWay.size >= LANES) return
    const waiting = (await this.list()).filter(
      (id) => !this.#underWay.has(id) && !this.#failed.has(id),
    )
    for (const imageId of waiting) {
      if (this.#closed || this.#underWay.size >= LANES) return
      if (!this.#underWay.has(imageId)) this.#underWay.set(imageId, this.#carryOut(imageId))
    }
  }

  /** What is not there is forgotten; what cannot be fetched now is tried again. */
  async #carryOut(imageId: string): Promise<void> {
    const { log } = this.#context
    try {
      await this.#fetch(imageId)
      await this.remove(imageId)
    } catch (error) {
      log.warn('cache.not-fetched', { imageId, error: messageOf(error) })
      if (isFailure(error, 'OBJECT_NOT_FOUND') || isFailure(error, 'IMAGE_NOT_FOUND'))
        await this.remove(imageId).catch(() => {})
      else this.#tryLater(imageId)
    }
    this.#underWay.delete(imageId)
    await this.#pump().catch((error: unknown) =>
      log.warn('cache.queue-unreadable', { error: messageOf(error) }),
    )
  }

  #tryLater(imageId: string): void {
    this.#failed.add(imageId)
    this.#pause ??= setTimeout(() => {
      this.#pause = undefined
      this.#failed.clear()
      this.#pump().catch((error: unknown) =>
        this.#context.log.warn('cache.queue-unreadable', { error: messageOf(error) }),
      )
    }, PAUSE_MS).unref()
  }
}
