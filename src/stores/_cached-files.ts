/**
 * The directory of the content cache: `data/ID` with the bytes of an image, and beside it `data/ID.json` with
 * what is known of its use. Bytes without that, or not as many as it says, are taken for broken: so nothing has
 * to be told to the other processes that use the directory, and nothing is lost when one is killed.
 */
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure, messageOf, systemCode } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { openFileSource, type Source } from '../bytes/source.ts'
import { syncDirectory, writeWholeFile } from '../bytes/whole-file.ts'
import type { CachedImage } from './content-cache.ts'

const NOTES = '.json'
/** Of the name of a working file, what it is for. */
const WORKING = /^\.([^.]+(?:\.json)?)\.ingot-/

/** What is written beside the bytes. */
interface Notes {
  readonly size: number
  readonly hits: number
  readonly lastAccessed: string
}

export class CachedFiles {
  readonly #directory: string
  readonly #context: Context
  /** Uses that are still to be written down, of images whose notes are being written. */
  readonly #uses = new Map<string, number>()

  constructor(directory: string, context: Context) {
    this.#directory = join(directory, 'data')
    this.#context = context
  }

  async make(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
  }

  /** A path for bytes that are still to come. */
  newPath(imageId: string): string {
    return workingPath(this.#pathOf(imageId), `fetch-${this.#context.newId()}`)
  }

  /** Takes bytes in that were written to the path of a new file, and are on the medium. */
  async add(imageId: string, path: string, size: number): Promise<void> {
    const lastAccessed = this.#context.now().toISOString()
    await this.#note(imageId, { size, hits: 0, lastAccessed }, { sync: true })
    await rename(path, this.#pathOf(imageId))
    await syncDirectory(this.#directory)
  }

  /** The bytes of an image, if they are here and whole. That the cache is in trouble is no reason to fail. */
  async open(imageId: string): Promise<Source | undefined> {
    try {
      const notes = await this.#notesOf(imageId)
      if (!notes) return undefined
      const source = await openFileSource(this.#pathOf(imageId))
      if (source.size === notes.size) return source
      await source[Symbol.asyncDispose]()
      await this.remove(imageId)
    } catch (error) {
      if (!isMissing(error))
        this.#context.log.warn('cache.unreadable', { imageId, error: messageOf(error) })
    }
    return undefined
  }

  async has(imageId: string): Promise<boolean> {
    await using source = await this.open(imageId)
    return source !== undefined
  }

  /** Writes down that it was used: soon, and many uses at once. */
  async use(imageId: string): Promise<void> {
    const isUnderWay = this.#uses.has(imageId)
    this.#uses.set(imageId, (this.#uses.get(imageId) ?? 0) + 1)
    if (isUnderWay) return
    try {
      for (let uses; (uses = this.#uses.get(imageId) ?? 0) > 0;) {
        this.#uses.set(imageId, 0)
        const notes = await this.#notesOf(imageId)
        if (!notes) return
        const lastAccessed = this.#context.now().toISOString()
        const newer = { size: notes.size, hits: notes.hits + uses, lastAccessed }
        await this.#note(imageId, newer, { sync: false })
      }
    } catch (error) {
      this.#context.log.warn('cache.unwritable', { imageId, error: messageOf(error) })
    } finally {
      this.#uses.delete(imageId)
    }
  }

  /** Those that are whole. */
  async list(): Promise<CachedImage[]> {
    const names = await readdir(this.#directory)
    const found = await Promise.all(
      names
        .filter((name) => name.endsWith(NOTES) && !name.startsWith('.'))
        .map((name) => this.#look(name.slice(0, -NOTES.length))),
    )
    return found.filter((one) => one !== undefined)
  }

  /** Whether there was something. */
  async remove(imageId: string): Promise<boolean> {
    const path = this.#pathOf(imageId)
    const isThere = (await stat(path).catch(ignoreMissing)) !== undefined
    await rm(path, { force: true })
    await rm(path + NOTES, { force: true })
    return isThere
  }

  /** Removes what dead processes were writing, and what is not whole. */
  async removeBroken(): Promise<void> {
    const names = await readdir(this.#directory)
    const unfinished = names.map((name) => WORKING.exec(name)?.[1]).filter((of) => of !== undefined)
    for (const name of new Set(unfinished)) await removeLeftovers(join(this.#directory, name))
    const whole = new Set((await this.list()).map(({ imageId }) => imageId))
    for (const name of names.filter((one) => !one.startsWith('.'))) {
      const imageId = name.endsWith(NOTES) ? name.slice(0, -NOTES.length) : name
      if (!whole.has(imageId)) await this.remove(imageId)
    }
  }

  async #look(imageId: string): Promise<CachedImage | undefined> {
    const notes = await this.#notesOf(imageId)
    const found = await stat(this.#pathOf(imageId)).catch(ignoreMissing)
    if (!notes || found?.size !== notes.size) return undefined
    const { size, hits } = notes
    const lastAccessed = new Date(notes.lastAccessed)
    return { imageId, size, hits, lastAccessed, lastModified: found.mtime }
  }

  async #notesOf(imageId: string): Promise<Notes | undefined> {
    const text = await readFile(this.#pathOf(imageId) + NOTES, 'utf8').catch(ignoreMissing)
    return text === undefined ? undefined : parseNotes(text)
  }

  async #note(imageId: string, notes: Notes, { sync }: { sync: boolean }): Promise<void> {
    const path = this.#pathOf(imageId) + NOTES
    const text = JSON.stringify(notes)
    const label = `notes-${this.#context.newId()}`
    await writeWholeFile(path, label, async (file) => await file.writeFile(text), { sync })
  }

  #pathOf(imageId: string): string {
    return join(this.#directory, checkImageId(imageId))
  }
}

/** An id that can be the name of a file. Fails with REQUEST_INVALID. */
export function checkImageId(imageId: string): string {
  if (/^[A-Za-z0-9-]{1,100}$/.test(imageId)) return imageId
  throw new Failure('REQUEST_INVALID', `'${imageId.slice(0, 100)}' cannot be the id of an image`)
}

export function ignoreMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

function isMissing(error: unknown): boolean {
  const cause = error instanceof Failure ? error.cause : error
  return systemCode(cause) === 'ENOENT'
}

/** Undefined for what we did not write. */
function parseNotes(text: string): Notes | undefined {
  try {
    const { size, hits, lastAccessed } = JSON.parse(text) as Partial<Notes>
    const isValid = Number.isSafeInteger(size) && Number.isSafeInteger(hits)
    if (!isValid || Number.isNaN(Date.parse(lastAccessed ?? ''))) return undefined
    return { size, hits, lastAccessed } as Notes
  } catch {
    return undefined
  }
}
