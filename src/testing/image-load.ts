/**
 * Clients of the image service that note what they were promised, so that afterwards every promise can be checked:
 * each image is in one state, and what asks for another either was answered (then it is in that) or was not (then it is
 * in either).
 */
import assert from 'node:assert/strict'
import { createCipheriv, createHash, randomInt, randomUUID } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { KiB } from '../base/units.ts'
import type { Store } from '../stores/store.ts'
import { openWebServer, type WebServer } from './web-server.ts'

/** `copied`: active, with data in both stores. */
type State = 'absent' | 'queued' | 'staged' | 'active' | 'copied'

type Deed = 'create' | 'upload' | 'stage' | 'import' | 'download' | 'copy' | 'delete'

const LEADS_TO: Readonly<Record<Deed, State>> = {
  create: 'queued',
  upload: 'active',
  stage: 'staged',
  import: 'active',
  download: 'active',
  copy: 'copied',
  delete: 'absent',
}

const DEEDS: Readonly<Record<State, readonly Deed[]>> = {
  absent: ['create'],
  queued: ['upload', 'upload', 'stage', 'stage', 'download', 'delete'],
  staged: ['import', 'import', 'import', 'delete'],
  active: ['copy', 'delete'],
  copied: ['delete'],
}

interface KnownImage {
  readonly id: string
  readonly size: number
  state: State
  /** What was asked last, and whether it was answered. Undefined: nothing is open. */
  pending: { readonly deed: Deed; isPromised: boolean } | undefined
  isBusy: boolean
}

/** An image as the service shows it. */
export interface ShownImage {
  readonly id: string
  readonly status: string
  readonly size: number | null
  readonly os_hash_value: string | null
  readonly stores?: string
  readonly locations?: readonly { readonly url: string }[]
}

const CHUNK = 64 * KiB
/** More images than these are not made. */
const IMAGES = 30

export class ImageLoad implements AsyncDisposable {
  /** What should not have happened. */
  readonly faults: string[] = []
  /** How often each deed was done to its end. */
  readonly done: Record<Deed, number> = {
    create: 0,
    upload: 0,
    stage: 0,
    import: 0,
    download: 0,
    copy: 0,
    delete: 0,
  }
  readonly #images: KnownImage[] = []
  readonly #web: WebServer
  readonly #pages: Record<string, RequestListener>
  readonly #second: string

  private constructor(web: WebServer, pages: Record<string, RequestListener>, second: string) {
    this.#web = web
    this.#pages = pages
    this.#second = second
  }

  /** `second`: the store that data is copied to. */
  static async open(second: string): Promise<ImageLoad> {
    const pages: Record<string, RequestListener> = {}
    return new ImageLoad(await openWebServer(pages), pages, second)
  }

  get webPort(): number {
    return Number(new URL(this.#web.url).port)
  }

  /**
   * Works, by so many clients, against any of `urls()`, until `signal` is aborted. Before that every connection and
   * every answer has to be good, but for those of servers that `mayFail`.
   */
  async run(
    clients: number,
    urls: () => readonly string[],
    signal: AbortSignal,
    mayFail: (url: string) => boolean = () => false,
  ): Promise<void> {
    const work = async () => {
      while (!signal.aborted) {
        const image = this.#pick()
        if (!image) {
          await wait(20)
          continue
        }
        const all = urls()
        const url = all[randomInt(all.length)] ?? ''
        image.isBusy = true
        try {
          await this.#do(image, url, signal)
        } catch (error) {
          if (!signal.aborted && !mayFail(url)) this.faults.push(String(error))
        } finally {
          image.isBusy = false
        }
      }
    }
    await Promise.all(Array.from({ length: clients }, work))
  }

  /** Everything the service shows, once nothing is under way: every promise is kept. Gives what it shows. */
  async check(url: string): Promise<ShownImage[]> {
    const { images } = (await (await fetch(`${url}/v2/images?limit=1000`)).json()) as {
      images: ShownImage[]
    }
    const shown = new Map(images.map((image) => [image.id, image]))
    for (const image of this.#images) {
      const { pending, state, id } = image
      const now = this.#stateOf(shown.get(id))
      const wanted = pending ? LEADS_TO[pending.deed] : state
      const allowed = pending && !pending.isPromised ? [state, wanted] : [wanted]
      const asked = pending
        ? `${pending.deed} was ${pending.isPromised ? 'promised' : 'asked for'}`
        : 'nothing was asked'
      if (!allowed.some((one) => one === now))
        this.faults.push(`image ${id} was ${state}, ${asked}; it is ${now}`)
      image.state = now as State
      if (pending && now === wanted) this.done[pending.deed] += 1
      const mustRead = pending !== undefined && (now === 'active' || now === 'copied')
      image.pending = undefined
      if (mustRead) await this.#read(image, url, shown.get(id))
    }
    const known = new Set(this.#images.map(({ id }) => id))
    for (const { id } of images)
      if (!known.has(id)) this.faults.push(`nobody asked for image ${id}`)
    const there = this.#images.filter(({ state }) => state !== 'absent')
    this.#images.splice(0, this.#images.length, ...there)
    return images
  }

  /** What stands in `stores` is what `images` say, and nothing else. Gives how many objects there are. */
  async checkObjects(stores: readonly Store[], images: readonly ShownImage[]): Promise<number> {
    const named = new Set(images.flatMap(({ locations = [] }) => locations.map(({ url }) => url)))
    const staged = new Set(
      images.filter(({ status }) => status === 'uploading').map(({ id }) => id),
    )
    let count = 0
    for (const store of stores)
      for await (const { key } of store.list?.() ?? []) {
        count += 1
        if (named.delete(store.locate(key)) || staged.delete(key.slice(0, key.indexOf('.'))))
          continue
        this.faults.push(`nobody names ${key} in store ${store.id}`)
      }
    for (const url of named) this.faults.push(`there is nothing at ${url}`)
    for (const id of staged) this.faults.push(`the staged data of image ${id} is not there`)
    return count
  }

  /** Downloads everything that is active. */
  async readAll(url: string, images: readonly ShownImage[]): Promise<void> {
    for (const image of this.#images)
      if (image.state === 'active' || image.state === 'copied')
        await this.#read(
          image,
          url,
          images.find(({ id }) => id === image.id),
        )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#web[Symbol.asyncDispose]()
  }

  #pick(): KnownImage | undefined {
    const free = this.#images.filter(({ isBusy, pending }) => !isBusy && !pending)
    if (this.#images.length < IMAGES && (free.length === 0 || randomInt(4) === 0)) {
      const size = (1 + randomInt(24)) * CHUNK
      const image = { id: randomUUID(), size, pending: undefined, isBusy: false }
      const made: KnownImage = { ...image, state: 'absent' }
      this.#images.push(made)
      this.#pages[`/${image.id}`] = (_request, response) => {
        response.writeHead(200, { 'content-length': size })
        Readable.from(chunksOf(image.id, size)).pipe(response)
      }
      return made
    }
    return free[randomInt(Math.max(1, free.length))]
  }

  async #do(image: KnownImage, url: string, signal: AbortSignal): Promise<void> {
    const deeds = DEEDS[image.state]
    const deed = deeds[randomInt(deeds.length)]
    if (!deed) return
    const pending = { deed, isPromised: false }
    image.pending = pending
    const response = await this.#ask(deed, image, url)
    const text = await response.text()
    if (!response.ok)
      throw new Error(`${deed} of ${image.id} by ${url}: ${response.status} ${text}`)
    pending.isPromised = true
    while (response.status === 202 && !signal.aborted) {
      const shown = await fetch(`${url}/v2/images/${image.id}`)
      if (this.#stateOf((await shown.json()) as ShownImage) === LEADS_TO[deed]) break
      await wait(50)
    }
    if (response.status === 202 && signal.aborted) return // the check will tell
    image.state = LEADS_TO[deed]
    image.pending = undefined
    this.done[deed] += 1
  }

  async #ask(deed: Deed, { id, size }: KnownImage, url: string): Promise<Response> {
    const at = `${url}/v2/images/${id}`
    const bring = (path: string) =>
      fetch(path, {
        method: 'PUT',
        headers: { 'content-type': 'application/octet-stream' },
        body: ReadableStream.from(chunksOf(id, size)),
        duplex: 'half',
      })
    if (deed === 'create')
      return post(`${url}/v2/images`, {
        id,
        name: `image ${id}`,
        disk_format: 'raw',
        container_format: 'bare',
      })
    if (deed === 'upload') return bring(`${at}/file`)
    if (deed === 'stage') return bring(`${at}/stage`)
    if (deed === 'delete') return fetch(at, { method: 'DELETE' })
    if (deed === 'import') return post(`${at}/import`, { method: { name: 'glance-direct' } })
    if (deed === 'copy')
      return post(`${at}/import`, {
        method: { name: 'copy-image' },
        stores: [this.#second],
      })
    const uri = `${this.#web.url}/${id}`
    return post(`${at}/import`, { method: { name: 'web-download', uri } })
  }

  #stateOf(image: ShownImage | undefined): string {
    if (!image) return 'absent'
    if (image.status === 'uploading') return 'staged'
    if (image.status !== 'active') return image.status
    return (image.stores ?? '').split(',').includes(this.#second) ? 'copied' : 'active'
  }

  async #read({ id, size }: KnownImage, url: string, shown: ShownImage | undefined): Promise<void> {
    const expected = createHash('sha512')
    for await (const chunk of chunksOf(id, size, false)) expected.update(chunk)
    const digest = expected.digest('hex')
    const response = await fetch(`${url}/v2/images/${id}/file`)
    const bytes = Buffer.from(await response.arrayBuffer())
    const found = createHash('sha512').update(bytes).digest('hex')
    if (response.status !== 200 || found !== digest)
      this.faults.push(`image ${id}: ${response.status}, ${bytes.length} bytes, not those sent`)
    if (shown?.os_hash_value !== digest || shown.size !== size)
      this.faults.push(`image ${id} says it has ${shown?.size} bytes of ${shown?.os_hash_value}`)
  }
}

async function post(url: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
}

/** Bytes that are the same for the same name, sometimes slowly. */
async function* chunksOf(name: string, size: number, slowly = true): AsyncGenerator<Uint8Array> {
  assert.equal(size % CHUNK, 0)
  const key = createHash('sha256').update(name).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  const pauseMs = slowly ? randomInt(8) : 0
  for (let at = 0; at < size; at += CHUNK) {
    if (pauseMs > 0) await wait(randomInt(pauseMs + 1))
    yield cipher.update(Buffer.alloc(CHUNK))
  }
}
