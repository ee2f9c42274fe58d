/** The image services that are compared: what rows want to know of each. */
import { writeFile } from 'node:fs/promises'
import { hashToken } from '../../src/access/identity/token-hash.ts'
import { openService } from '../../src/testing/service.ts'
import { stringify } from 'yaml'
import { INGOT } from '../place.ts'
import { processTree } from './processes.ts'

export interface Server extends AsyncDisposable {
  readonly name: string
  readonly port: number
  /** Of an administrator. */
  readonly token: string
  /** Its processes now; without databases and caches that run beside it. */
  pids(): number[]
}

/** Who tells the servers what tokens mean; each has its own if there is none. */
export interface Identity {
  /** Of Keystone's Identity v3. */
  readonly authUrl: string
  /** Of its user `glance`, and of its user `admin`. */
  readonly password: string
}

export interface IngotOptions {
  /** For its data; it is made. */
  readonly directory: string
  readonly identity?: Identity | undefined
  /** `postgres://…`; else SQLite in the directory. */
  readonly database?: string | undefined
}

/** `ingot serve`, with what is built in, and tokens of a file or of the Keystone of its peer. */
export async function openIngot({ directory, identity, database }: IngotOptions): Promise<Server> {
  const token = identity === undefined ? 'bench' : await logIn(identity)
  const tokensFile = `${directory}.tokens`
  const configFile = `${directory}.yaml`
  const admin = { name: 'bench', project: 'bench', roles: ['admin'], hash: hashToken(token) }
  await writeFile(tokensFile, stringify({ tokens: [admin] }), { mode: 0o600 })
  const keystone = identity && {
    auth_url: identity.authUrl,
    username: 'glance',
    password: identity.password,
  }
  await writeFile(
    configFile,
    stringify({
      listen: '127.0.0.1:0',
      data_dir: directory,
      auth: keystone ? { mode: 'keystone', keystone } : { mode: 'token', tokens_file: tokensFile },
      ...(database !== undefined && { database }),
    }),
  )
  const process = await openService([INGOT, 'serve', '--json', '--config', configFile])
  const { url } = process.told as { url: string }
  return {
    name: 'Ingot',
    port: Number(new URL(url).port),
    token,
    pids: () => processTree(process.pid),
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  }
}

/** A token of the administrator. */
export async function logIn({ authUrl, password }: Identity): Promise<string> {
  const domain = { id: 'default' }
  const user = { name: 'admin', domain, password }
  const response = await fetch(`${authUrl}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      auth: {
        identity: { methods: ['password'], password: { user } },
        scope: { project: { name: 'admin', domain } },
      },
    }),
  })
  const token = response.headers.get('x-subject-token')
  if (token === null) throw new Error(`Keystone answered ${response.status}`)
  return token
}
