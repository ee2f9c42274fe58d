import { randomUUID } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import { GiB, MiB } from '../../base/units.ts'
import { memorySource } from '../../bytes/source.ts'
import { Type } from '../../schema/type.ts'
import {
  defineStoreDriver,
  type DriverStore,
  type ListedObject,
  type ObjectWriter,
} from '../store.ts'

interface StoredObject {
  bytes: Buffer
  modifiedAt: Date
  finished: boolean
}

/** Objects in this process, gone when it ends: for trials and tests. */
export const memoryDriver = defineStoreDriver({
  name: 'memory',
  summary: 'in the memory of this process; for tests',
  options: Type.Object(
    {
      max_size: Type.Optional(
        Type.Integer({ minimum: 0, description: 'bytes of all objects; default 1 GiB' }),
      ),
    },
    { additionalProperties: false },
  ),
  open: async ({ max_size: maxSize = 1 * GiB }, { now }) => new MemoryStore(maxSize, now),
})

class MemoryStore implements DriverStore {
  readonly anyOrder = true
  readonly #objects = new Map<string, StoredObject>()
  readonly #maxSize: number
  readonly #now: () => Date
  /** Of this place; there may be several. */
  readonly #name = randomUUID()
  #used = 0

  constructor(maxSize: number, now: () => Date) {
    this.#maxSize = maxSize
    this.#now = now
  }

  async create(key: string, size = 0): Promise<ObjectWriter> {
    if (this.#objects.has(key)) throw new Error(`there is an object ${key}`)
    const object: StoredObject = {
      bytes: Buffer.alloc(0),
      modifiedAt: this.#now(),
      finished: false,
    }
    this.#objects.set(key, object)
    if (size > this.#maxSize - this.#used) {
      this.#objects.delete(key)
      throw full(size)
    }
    let end = 0
    const discard = async () => {
      if (!object.finished) await this.remove(key)
    }
    return {
      write: async (offset, bytes) => {
        end = Math.max(end, offset + bytes.length)
        this.#grow(object, end)
        object.bytes.set(bytes, offset)
      },
      zeros: async (offset, length) => {
        end = Math.max(end, offset + length)
        this.#grow(object, end)
        object.bytes.fill(0, offset, offset + length)
      },
      finish: async (size) => {
        this.#grow(object, size)
        this.#resize(object, size)
        object.modifiedAt = this.#now()
        object.finished = true
      },
      discard,
      [Symbol.asyncDispose]: discard,
    }
  }

  async open(key: string) {
    const object = this.#objects.get(key)
    if (!object?.finished)
      throw new Failure('OBJECT_NOT_FOUND', `no object ${key}`, { details: { key } })
    return memorySource(object.bytes, key)
  }

  async remove(key: string): Promise<void> {
    this.#used -= this.#objects.get(key)?.bytes.length ?? 0
    this.#objects.delete(key)
  }

  locate(key: string): string {
    return `memory://${this.#name}/${key}`
  }

  async *list(): AsyncGenerator<ListedObject> {
    for (const [key, { bytes, modifiedAt, finished }] of this.#objects)
      yield { key, size: bytes.length, modifiedAt, finished }
  }

  async free(): Promise<number> {
    return this.#maxSize - this.#used
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#objects.clear()
  }

  /** Room for `size` bytes at least: twice as much each time, so that pieces cost no more than all at once. */
  #grow(object: StoredObject, size: number): void {
    if (size <= object.bytes.length) return
    const room = this.#maxSize - this.#used + object.bytes.length
    if (size > room) throw full(size)
    this.#resize(object, Math.min(room, Math.max(size, 2 * object.bytes.length, MiB)))
  }

  #resize(object: StoredObject, size: number): void {
    if (size === object.bytes.length) return
    const bytes = Buffer.alloc(size)
    object.bytes.copy(bytes)
    this.#used += size - object.bytes.length
    object.bytes = bytes
  }
}

function full(size: number): Failure {
  return new Failure('STORE_FULL', `no room for ${size} bytes`)
}
