/**
 * Objects as files of one directory: `ab/KEY`, where `ab` begins a digest of the key, and while one is written
 * `ab/KEY~part` (`~` is in no key). Who finds the file finds all of it, also after a power failure.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Failure, isFailure, systemCode } from '../../base/failure.ts'
import { KiB, MiB } from '../../base/units.ts'
import { type FileCalls, loadFileCalls } from '../../bytes/file-calls.ts'
import { writeAll } from '../../bytes/sinks.ts'
import { openFileSource, type Source } from '../../bytes/source.ts'
import { syncDirectory } from '../../bytes/whole-file.ts'
import { Type } from '../../schema/type.ts'
import {
  defineStoreDriver,
  type DriverStore,
  type ListedObject,
  type ObjectWriter,
} from '../store.ts'

const PART = '~part'
/** For its owner only: who may read image data is the service's to say. */
const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600
/** After so many bytes the kernel is told to begin with them, so that finishing does not wait for all. */
const WRITE_BACK = 32 * MiB
/** Writes past the kernel's cache: of whole pages, and worth a wait for the medium. */
const PAGE = 4 * KiB
const DIRECT = 512 * KiB
/** Which share of the memory one object may take of the cache unless it is told. */
const CACHED_SHARE = 1 / 16
const ZEROS = Buffer.alloc(1 * MiB)

/** Objects as files of a directory of this machine, or of one that is mounted here. */
export const fileDriver = defineStoreDriver({
  name: 'file',
  summary: 'files of a directory, sparse where the image is',
  options: Type.Object(
    {
      data_dir: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'directory; default: images, in that of the service',
        }),
      ),
      cached_size: Type.Optional(
        Type.Integer({
          minimum: 0,
          description:
            'bytes of a new image that are kept in the cache of the kernel, for who fetches it soon; what follows is written past it; default: a sixteenth of the memory',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  open: async ({ data_dir, cached_size }, { dataDir }) => {
    const directory = resolve(data_dir ?? join(dataDir, 'images'))
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
    return new FileStore(directory, cached_size ?? totalmem() * CACHED_SHARE)
  },
})

class FileStore implements DriverStore {
  readonly anyOrder = true
  readonly properties: Readonly<Record<string, string | number | boolean>>
  readonly #directory: string
  readonly #cachedSize: number

  constructor(directory: string, cachedSize: number) {
    this.#directory = directory
    this.#cachedSize = cachedSize
    this.properties = { data_dir: directory, chunk_size: 1 * MiB, thin_provisioning: true }
  }

  async create(key: string): Promise<ObjectWriter> {
    const path = this.#pathOf(key)
    const file = await this.#createPart(path)
    // While the part is ours nobody else can make the object, so that this is true until it is finished.
    if (!(await exists(path))) return new FileWriter(path, file, this.#cachedSize)
    await file.close()
    await rm(path + PART, { force: true })
    throw new Error(`there is an object ${key}`)
  }

  async open(key: string): Promise<Source> {
    try {
      return await openFileSource(this.#pathOf(key))
    } catch (error) {
      if (!isFailure(error, 'FILE_NOT_FOUND')) throw error
      await stat(this.#directory) // where that has gone nobody knows what there is
      throw new Failure('OBJECT_NOT_FOUND', `no object ${key}`, { details: { key } })
    }
  }

  async remove(key: string): Promise<void> {
    const path = this.#pathOf(key)
    await Promise.all([rm(path, { force: true }), rm(path + PART, { force: true })])
  }

  locate(key: string): string {
    return pathToFileURL(this.#pathOf(key)).href
  }

  async *list(): AsyncGenerator<ListedObject> {
    for (const group of await readdir(this.#directory, { withFileTypes: true })) {
      if (!group.isDirectory()) continue
      const directory = join(this.#directory, group.name)
      for (const name of await readdir(directory)) {
        const found = await stat(join(directory, name)).catch(ignoreMissing)
        if (!found?.isFile()) continue
        const finished = !name.endsWith(PART)
        const key = finished ? name : name.slice(0, -PART.length)
        yield { key, size: found.size, modifiedAt: found.mtime, finished }
      }
    }
  }

  async free(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory)
    return bavail * bsize
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #pathOf(key: string): string {
    const group = createHash('sha1').update(key).digest('hex').slice(0, 2)
    return join(this.#directory, group, key)
  }

  /** The group's directory is made when its first object is. */
  async #createPart(path: string): Promise<FileHandle> {
    try {
      return await open(path + PART, 'wx', FILE_MODE)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      // Not its parents too: where those are gone, something is to be mounted there.
      await mkdir(dirname(path), { mode: DIRECTORY_MODE }).catch(ignoreThere)
      await syncDirectory(this.#directory)
      return await open(path + PART, 'wx', FILE_MODE)
    }
  }
}

class FileWriter implements ObjectWriter {
  readonly #path: string
  readonly #file: FileHandle
  /** Behind the last byte that was written. */
  #end = 0
  #calls: Promise<FileCalls | undefined> | undefined
  #unsynced = 0
  #writeBack: Promise<void> | undefined
  /** The same file, for writes past the cache; undefined where the kernel takes none. */
  #direct: Promise<FileHandle | undefined> | undefined
  /** Bytes that may still go into the cache. */
  #cacheable: number
  #open = true
  #finished = false

  constructor(path: string, file: FileHandle, cachedSize: number) {
    this.#path = path
    this.#file = file
    this.#cacheable = cachedSize
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#end = Math.max(this.#end, offset + bytes.length)
    const done = await this.#writeDirect(offset, bytes)
    if (done === bytes.length) return
    await writeAll(this.#file, bytes.subarray(done), offset + done)
    this.#unsynced += bytes.length - done
    this.#cacheable -= bytes.length - done
    if (this.#unsynced < WRITE_BACK || this.#writeBack) return
    this.#unsynced = 0
    this.#writeBack = this.#beginWriteBack().finally(() => (this.#writeBack = undefined))
  }

  /** What was never written is a hole already; only what lies before the end of the rest may have been. */
  async zeros(offset: number, length: number): Promise<void> {
    const end = Math.min(offset + length, this.#end)
    if (offset >= end) return
    const calls = await this.#loadCalls()
    if (calls?.punch(this.#file.fd, offset, end - offset)) return
    for (let at = offset; at < end; at += ZEROS.length)
      await writeAll(this.#file, ZEROS.subarray(0, end - at), at)
  }

  async finish(size: number): Promise<void> {
    await this.#file.truncate(size)
    await this.#file.sync()
    await this.#close()
    try {
      await rename(this.#path + PART, this.#path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      throw new Failure('OBJECT_NOT_FOUND', 'it was removed while it was written', { cause: error })
    }
    await syncDirectory(dirname(this.#path))
    this.#finished = true
  }

  async discard(): Promise<void> {
    if (this.#finished) return
    await this.#close()
    await rm(this.#path + PART, { force: true })
    // Where finishing failed after it had its name, nobody can say whether it stands for good.
    await rm(this.#path, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.discard()
  }

  /**
   * Writes past the kernel's cache as many of the bytes as it takes so; of an object that is large, since one alone
   * could push all else out of it. Who fetches the image then has to wait for the medium, so of those that are
   * not, everything stays there (measured for each GiB: a second of processor time less to write it so, and more
   * than a second more to read it the first time).
   */
  async #writeDirect(offset: number, bytes: Uint8Array): Promise<number> {
    const isWhole = offset % PAGE === 0 && bytes.length % PAGE === 0
    if (this.#cacheable > 0 || !isWhole || bytes.length < DIRECT) return 0
    const flags = constants.O_WRONLY | (constants.O_DIRECT ?? 0)
    this.#direct ??= open(this.#path + PART, flags).catch(() => undefined)
    const file = await this.#direct
    if (file === undefined) return 0
    try {
      return (await file.write(bytes, 0, bytes.length, offset)).bytesWritten
    } catch (error) {
      if (systemCode(error) !== 'EINVAL') throw error
      // The memory does not stand as the medium wants it, and will not the next time.
      this.#direct = Promise.resolve(undefined)
      await file.close()
      return 0
    }
  }

  #loadCalls(): Promise<FileCalls | undefined> {
    return (this.#calls ??= loadFileCalls())
  }

  async #beginWriteBack(): Promise<void> {
    const calls = await this.#loadCalls()
    if (this.#open) await calls?.beginWriteBack(this.#file.fd)
  }

  async #close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#writeBack
    await (await this.#direct)?.close()
    await this.#file.close()
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(ignoreMissing)) !== undefined
}

function ignoreMissing(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error
}

function ignoreThere(error: unknown): undefined {
  if (systemCode(error) !== 'EEXIST') throw error
}
