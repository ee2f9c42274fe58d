/** `auth: token`: static tokens, from a file that holds their digests and what each may be. */
import { readFile, stat } from 'node:fs/promises'
import type { Static } from 'typebox'
import type { Context } from '../../base/context.ts'
import { asFileFailure, Failure, messageOf } from '../../base/failure.ts'
import { type Fault, findFaults } from '../../schema/find-faults.ts'
import { Type } from '../../schema/type.ts'
import type { Authenticator, Caller, Credentials, Policy } from '../caller.ts'
import { asCaller, type Identity } from './_identity.ts'
import { withImpliedRoles } from './roles.ts'
import { HASHED_TOKEN, hashToken, MAX_TOKEN_LENGTH } from './token-hash.ts'

const strict = { additionalProperties: false } as const

/** The file. */
const tokensSchema = Type.Object(
  {
    tokens: Type.Array(
      Type.Object(
        {
          name: Type.String({ minLength: 1, description: 'for logs and people' }),
          hash: Type.String({ description: 'sha256: and 64 hexadecimal digits, of the token' }),
          project: Type.String({ minLength: 1, maxLength: 255, description: 'id of its project' }),
          user: Type.Optional(Type.String({ maxLength: 255, description: 'default: name' })),
          roles: Type.Array(Type.String(), {
            description: 'admin, member, reader, service, or of your own',
          }),
          expires: Type.Optional(Type.String({ description: 'date and time; default never' })),
        },
        strict,
      ),
      { description: 'who may call' },
    ),
  },
  strict,
)

interface Holder {
  readonly identity: Identity
  /** Milliseconds since the epoch. */
  readonly expires: number
}

/** The file is looked at again at most so often. */
const LOOK_AGAIN_MS = 1000

/**
 * Reads the file, and again when it changes. A change that has faults is logged, and what was read before stays.
 * Fails with CONFIG_INVALID, FILE_NOT_FOUND.
 */
export async function openTokenAuthenticator(
  file: string,
  policy: Policy,
  context: Pick<Context, 'now' | 'log'>,
): Promise<Authenticator> {
  const tokens = new TokenFile(file, context)
  await tokens.read()
  return {
    mode: 'token',
    challenge: 'Token realm="ingot"',
    authenticate: (credentials) => {
      const looking = tokens.lookAgain()
      const identified = () => identify(tokens, credentials, policy, context.now())
      return looking === undefined ? identified() : looking.then(identified)
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function identify(tokens: TokenFile, credentials: Credentials, policy: Policy, now: Date): Caller {
  const { token, serviceToken } = credentials
  if (token === undefined) throw new Failure('UNAUTHENTICATED', 'no token was given')
  const holder = tokens.holderOf(token, now)
  if (holder === undefined) throw new Failure('UNAUTHENTICATED', 'the token is not valid')
  const service = serviceToken === undefined ? undefined : tokens.holderOf(serviceToken, now)
  if (serviceToken !== undefined && service === undefined)
    throw new Failure('UNAUTHENTICATED', 'the service token is not valid')
  return asCaller(holder.identity, service?.identity.roles, credentials, policy)
}

class TokenFile {
  readonly #file: string
  readonly #context: Pick<Context, 'now' | 'log'>
  #holders: ReadonlyMap<string, Holder> = new Map()
  /** Tells one state of the file from another. */
  #stamp = ''
  #lookedAt = 0
  #looking: Promise<void> | undefined

  constructor(file: string, context: Pick<Context, 'now' | 'log'>) {
    this.#file = file
    this.#context = context
  }

  holderOf(token: string, now: Date): Holder | undefined {
    if (token.length > MAX_TOKEN_LENGTH) return undefined
    const holder = this.#holders.get(hashToken(token))
    return holder !== undefined && holder.expires > now.getTime() ? holder : undefined
  }

  /** Undefined when it was looked at a moment ago. */
  lookAgain(): Promise<void> | undefined {
    const now = this.#context.now().getTime()
    if (now - this.#lookedAt < LOOK_AGAIN_MS) return this.#looking
    this.#lookedAt = now
    this.#looking ??= this.#readChange().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #readChange(): Promise<void> {
    const { log } = this.#context
    const before = this.#stamp
    try {
      if ((await stampOf(this.#file)) === before) return
      await this.read()
      log.info('access.tokens-read', { file: this.#file, tokens: this.#holders.size })
    } catch (error) {
      log.error('access.tokens-unreadable', { file: this.#file, message: messageOf(error) })
    }
  }

  async read(): Promise<void> {
    try {
      this.#stamp = await stampOf(this.#file) // before the text: what changes meanwhile is read again
      this.#lookedAt = this.#context.now().getTime()
      this.#holders = await parseTokens(await readFile(this.#file, 'utf8'), this.#file)
    } catch (error) {
      throw asFileFailure(error, this.#file)
    }
  }
}

async function stampOf(file: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(file)
  return `${mtimeMs} ${size} ${ino}`
}

/** The holders by the digests of their tokens. Fails with CONFIG_INVALID; no message shows a digest, or what stands in its place. */
async function parseTokens(text: string, file: string): Promise<ReadonlyMap<string, Holder>> {
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text, { logLevel: 'error', prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) throw new Failure('CONFIG_INVALID', `${file} is not YAML`)
  const value: unknown = document.toJS({ maxAliasCount: 100 })
  const faults = findFaults(tokensSchema, value)
  if (faults.length > 0) throw asFailure(faults, file)
  const holders = new Map<string, Holder>()
  const { tokens } = value as Static<typeof tokensSchema>
  for (const [index, entry] of tokens.entries()) {
    const fault = (key: string, message: string) =>
      faults.push({ path: ['tokens', index, key], message })
    const expires = entry.expires === undefined ? Infinity : Date.parse(entry.expires)
    if (!HASHED_TOKEN.test(entry.hash)) fault('hash', 'wanted sha256: and 64 hexadecimal digits')
    else if (holders.has(entry.hash)) fault('hash', 'the same token stands above')
    if (Number.isNaN(expires))
      fault('expires', 'wanted a date and time, as in 2027-01-31T00:00:00Z')
    holders.set(entry.hash, { identity: toIdentity(entry), expires })
  }
  if (faults.length > 0) throw asFailure(faults, file)
  return holders
}

function toIdentity(entry: Static<typeof tokensSchema>['tokens'][number]): Identity {
  return {
    userId: entry.user ?? entry.name,
    projectId: entry.project,
    roles: withImpliedRoles(entry.roles),
  }
}

function asFailure(faults: readonly Fault[], file: string): Failure {
  const lines = faults.map(({ path, message }) => `${path.join('.')}: ${message}`)
  return new Failure('CONFIG_INVALID', `${file}: ${lines.join('; ')}`, {
    details: { faults: lines },
  })
}
