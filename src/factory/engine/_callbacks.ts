/**
 * Callbacks: the record is PUT to addresses that an order named, whenever its status changes, one after the other for
 * each address. Source: Image Factory. Nobody waits for them; what fails is told in the build's log.
 */
import { Failure, messageOf } from '../../base/failure.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { askWeb } from '../../bytes/web-request.ts'
import type { Records } from './_records.ts'
import { addressesOf, hideUser, isHidden } from './_hide-parameters.ts'
import type { SecretTable } from './_secrets.ts'
import { type FactoryImage, isFinal, type JsonObject } from '../factory-image.ts'
import type { FactoryParts } from './factory-parts.ts'

interface CallbackParts extends Pick<FactoryParts, 'callbackRules' | 'toRecord' | 'context'> {
  readonly records: Records
  readonly secrets: SecretTable
}

const TRIES = 3
const REST_MS = 1000
const SILENCE_MS = 10_000
const CALL_MS = 30_000
/** Records that wait for one address: one that never answers must not fill the memory. */
const MAX_WAITING = 1000
const MAX_REMEMBERED = 10_000
/** Upstream's word for: only log it. */
const DEBUG = 'debug'

export class Callbacks implements AsyncDisposable {
  readonly #parts: CallbackParts
  readonly #ending = new AbortController()
  /** By address: the last call that waits, and how many do. */
  readonly #lines = new Map<string, { last: Promise<void>; waiting: number }>()
  /** Addresses with their passwords, of images at work: the record does not have them. */
  readonly #whole = new Map<string, readonly string[]>()

  constructor(parts: CallbackParts) {
    this.#parts = parts
  }

  /** Fails with REQUEST_INVALID: an address that is none, or that may not be asked. */
  check({ callbacks }: JsonObject): void {
    for (const address of addressesOf(callbacks)) {
      if (address === DEBUG) continue
      const shown = hideUser(address).slice(0, 200)
      if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol))
        throw new Failure(
          'REQUEST_INVALID',
          `callbacks: wanted https:// or http://, found '${shown}'`,
        )
      this.#parts.callbackRules.checkUrl(new URL(hideUser(address)))
    }
  }

  /** Whether an address says who asks. */
  areSecret({ callbacks }: JsonObject): boolean {
    return addressesOf(callbacks).some((one) => hideUser(one) !== one)
  }

  /** Tells of an image whose status has changed, soon. */
  tell(image: FactoryImage): void {
    if (addressesOf(image.parameters['callbacks']).length === 0) return
    void this.#tell(image).catch((error: unknown) =>
      this.#parts.context.log.warn('factory.callback-failed', {
        imageId: image.id,
        error: messageOf(error),
      }),
    )
  }

  /** Keeps the whole addresses of an image at work, whose secrets are forgotten with its end. */
  remember(imageId: string, callbacks: unknown): void {
    const addresses = addressesOf(callbacks)
    if (addresses.length > 0) this.#whole.set(imageId, addresses)
    // Some are of images that another server works on.
    const [oldest] = this.#whole.size > MAX_REMEMBERED ? this.#whole.keys() : []
    if (oldest !== undefined) this.#whole.delete(oldest)
  }

  /** Waits for nobody: an address that is slow does not keep the server from ending. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Failure('INTERRUPTED', 'the server is ending'))
    await Promise.allSettled([...this.#lines.values()].map(({ last }) => last))
  }

  async #tell(image: FactoryImage): Promise<void> {
    const shown = addressesOf(image.parameters['callbacks'])
    const whole = this.#whole.get(image.id) ?? shown
    if (isFinal(image.status)) this.#whole.delete(image.id)
    const { toRecord, records } = this.#parts
    // Said now, and in this order, whatever changes while the line is long.
    const body = (async () => {
      const isDone = image.status === 'COMPLETE'
      const icicle = isDone ? await records.readDocument(image.id, 'icicle') : undefined
      const text = icicle ? Buffer.from(icicle).toString() : null
      return JSON.stringify({ [`${image.type}_image`]: toRecord(image, text) })
    })()
    body.catch(() => {}) // told by each call
    for (const [index, address] of shown.entries()) {
      const { log } = this.#parts.context
      log.debug('factory.callback', { imageId: image.id, status: image.status, address })
      if (address === DEBUG) continue
      const asked = whole[index] ?? address
      if (isHidden(asked))
        await this.#complain(image, `${address} is not called: its password is no longer kept`)
      else this.#queue(asked, address, { image, body })
    }
  }

  #queue(
    address: string,
    shown: string,
    call: { readonly image: FactoryImage; readonly body: Promise<string> },
  ): void {
    const line = this.#lines.get(address) ?? { last: Promise.resolve(), waiting: 0 }
    this.#lines.set(address, line)
    if (line.waiting >= MAX_WAITING) return
    line.waiting += 1
    line.last = this.#callAfter(line.last, async () => {
      await this.#call(address, shown, call)
      line.waiting -= 1
      if (line.waiting === 0) this.#lines.delete(address)
    })
  }

  async #callAfter(before: Promise<void>, call: () => Promise<void>): Promise<void> {
    await before
    await call()
  }

  /** Never fails. */
  async #call(
    address: string,
    shown: string,
    { image, body }: { readonly image: FactoryImage; readonly body: Promise<string> },
  ): Promise<void> {
    const { signal } = this.#ending
    for (let left = TRIES; left > 0 && !signal.aborted; left--) {
      try {
        const status = await this.#put(address, await body)
        if (status < 300) return
        await this.#complain(image, `callback to ${shown}: answered ${status}`)
        if (status < 500) return
      } catch (error) {
        const reason = messageOf(error).replaceAll(address, shown)
        await this.#complain(image, `callback to ${shown}: ${reason}`)
        if (error instanceof Failure) return // the rules refuse it: they always will
      }
      await sleep(REST_MS, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  async #put(address: string, body: string): Promise<number> {
    const url = new URL(address)
    const user = decodeURIComponent(url.username)
    const password = decodeURIComponent(url.password)
    url.username = ''
    url.password = ''
    const credentials = Buffer.from(`${user}:${password}`).toString('base64')
    const { response } = await askWeb(url.href, {
      rules: this.#parts.callbackRules,
      signal: AbortSignal.any([this.#ending.signal, AbortSignal.timeout(CALL_MS)]),
      silenceMs: SILENCE_MS,
      put: body,
      headers: {
        'content-type': 'application/json',
        ...(user !== '' && { authorization: `Basic ${credentials}` }),
      },
    })
    response.destroy()
    return response.statusCode ?? 0
  }

  async #complain({ id }: FactoryImage, text: string): Promise<void> {
    this.#parts.context.log.info('factory.callback-failed', { imageId: id, text })
    await this.#parts.records.tell(id, text).catch(() => {}) // its image is gone
  }
}
