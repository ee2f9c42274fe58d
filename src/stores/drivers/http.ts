/**
 * Content that stands on web servers, by its address: the key is the address itself. It is only read. Addresses
 * come from users, so that they are asked with care (`bytes/web-request.ts`): on the public internet, or where
 * the configuration says by name.
 */
import { Agent, type IncomingMessage } from 'node:http'
import { Agent as SecureAgent } from 'node:https'
import type { Context } from '../../base/context.ts'
import { Failure, type FailureCode, isFailure } from '../../base/failure.ts'
import { isPublicAddress } from '../../bytes/public-address.ts'
import { memorySource, type Source } from '../../bytes/source.ts'
import { askWeb, type WebRules } from '../../bytes/web-request.ts'
import { Type } from '../../schema/type.ts'
import { FIRST_WINDOW, RangedSource } from '../_ranged-source.ts'
import { UnrangedSource } from '../_unranged-source.ts'
import { asWebFailure, contentOf, rangeOf } from '../_web-content.ts'
import { defineStoreDriver, type DriverStore } from '../store.ts'

/** Images on web servers. */
export const httpDriver = defineStoreDriver({
  name: 'http',
  summary: 'addresses of web servers, read only',
  options: Type.Object(
    {
      allowed_hosts: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          description: 'default any public one; one that is named here may be private',
        }),
      ),
      silence_s: Type.Optional(
        Type.Number({
          minimum: 0.001,
          description: 'seconds that a server may be silent; default 30',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  open: async ({ allowed_hosts: hosts = [], silence_s: silenceS = 30 }, context) =>
    new HttpStore(hosts, 1000 * silenceS, context),
})

/** What an answer other than the content means. */
const REFUSALS: Readonly<Record<number, FailureCode>> = {
  401: 'STORE_DENIED',
  403: 'STORE_DENIED',
  404: 'OBJECT_NOT_FOUND',
  410: 'OBJECT_NOT_FOUND',
}
/** Answers that the readers of content understand: all of it, a range, none there, other content. */
const ANSWERS: ReadonlySet<number | undefined> = new Set([200, 206, 412, 416])

class HttpStore implements DriverStore {
  readonly readOnly = true
  readonly anyOrder = false
  readonly #rules: WebRules
  readonly #silenceMs: number
  readonly #signal: AbortSignal
  readonly #agents = {
    plain: new Agent({ keepAlive: true }),
    secure: new SecureAgent({ keepAlive: true }),
  }

  constructor(hosts: readonly string[], silenceMs: number, { signal }: Context) {
    this.#rules = rulesOf(hosts)
    this.#silenceMs = silenceMs
    this.#signal = signal
  }

  async open(url: string): Promise<Source> {
    const ask = async (headers: Readonly<Record<string, string>>) => await this.#ask(url, headers)
    // Quicker than to ask for the size first, and some servers answer nothing but GET.
    const first = await ask({ range: `bytes=0-${FIRST_WINDOW - 1}` })
    const content = contentOf(url, first)
    if (content && first.statusCode === 200)
      return new UnrangedSource(content, ask, { first, silenceMs: this.#silenceMs })
    if (content && rangeOf(first)?.start === 0) return new RangedSource(content, ask, first)
    first.destroy()
    if (content?.size === 0) return memorySource(new Uint8Array(), url)
    throw new Failure('STORE_AWAY', 'the server does not say how long it is')
  }

  async #ask(url: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    try {
      const { response } = await askWeb(url, {
        rules: this.#rules,
        silenceMs: this.#silenceMs,
        signal: this.#signal,
        agents: this.#agents,
        headers,
      })
      const { statusCode = 0 } = response
      const encoding = response.headers['content-encoding'] ?? 'identity'
      if (ANSWERS.has(statusCode) && encoding === 'identity') return response
      response.destroy()
      const reason = ANSWERS.has(statusCode) ? `in the coding ${encoding}` : statusCode
      throw new Failure(REFUSALS[statusCode] ?? 'STORE_AWAY', `the server answers ${reason}`, {
        details: { status: statusCode },
      })
    } catch (error) {
      throw asWebFailure(error)
    }
  }

  locate(url: string): string {
    return url
  }

  /**
   * Addresses with names and passwords in them are none of ours: whoever sees the image sees its locations. What
   * follows a # is never sent; an image may name one place twice by it.
   */
  keyOf(text: string): string | undefined {
    if (!URL.canParse(text)) return undefined
    const url = new URL(text)
    const isWeb = url.protocol === 'http:' || url.protocol === 'https:'
    if (!isWeb || url.username !== '' || url.password !== '') return undefined
    try {
      this.#rules.checkUrl(url)
      return text
    } catch (error) {
      if (isFailure(error)) return undefined
      throw error
    }
  }

  async create(): Promise<never> {
    throw new Error('the place only gives')
  }

  async remove(): Promise<never> {
    throw new Error('the place only gives')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agents.plain.destroy()
    this.#agents.secure.destroy()
  }
}

function rulesOf(names: readonly string[]): WebRules {
  const hosts = new Set(names.map(hostOf))
  return {
    checkUrl: ({ hostname }) => {
      if (hosts.size === 0 || hosts.has(hostname)) return
      throw new Failure('STORE_DENIED', `${hostname} is not among the allowed hosts`)
    },
    checkAddress: ({ hostname }, address) => {
      if (hosts.has(hostname) || isPublicAddress(address)) return
      throw new Failure(
        'STORE_DENIED',
        `${hostname} is at ${address}, which is not on the public internet`,
        { fix: 'If that is meant, name the host in allowed_hosts of the store.' },
      )
    },
  }
}

function hostOf(name: string): string {
  const url = `http://${name}/`
  if (URL.canParse(url)) return new URL(url).hostname
  throw new Failure('CONFIG_INVALID', `'${name}' in allowed_hosts is no host`)
}
