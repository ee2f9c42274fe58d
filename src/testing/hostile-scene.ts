/** A real server, with two users who are strangers to each other and a web server beside it, for tests of who means no good. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { connect, type Socket } from 'node:net'
import { after } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { stringify } from 'yaml'
import { hashToken } from '../access/identity/token-hash.ts'
import { startServer } from './serve.ts'
import { tempDir } from './temp-dir.ts'
import { openWebServer, type WebServer } from './web-server.ts'

const PATIENCE_MS = 60_000
export const TOKENS = { alice: 'token-of-alice-7f3a', bob: 'token-of-bob-91cc' }
export const OCTETS = 'application/octet-stream'

interface Question {
  readonly as?: keyof typeof TOKENS
  readonly body?: unknown
  readonly type?: string
}

/** All of it, gone when the tests of the file are done. Called at the top of the file. */
export async function openHostileScene() {
  const temp = await tempDir()
  const page = Buffer.from('what stands inside the house')
  const pages: Record<string, Uint8Array> = {}
  /** What stands at these addresses is put into `pages` later. */
  const hostedPages = Object.fromEntries(
    Array.from({ length: 1000 }, (_, at): [string, RequestListener] => [
      `/image-${at}`,
      ({ url = '' }, response) => void response.end(pages[url]),
    ]),
  )
  const web: WebServer = await openWebServer({
    '/inside': page,
    '/sent-on': (_, response) =>
      response
        .writeHead(302, { location: `http://127.0.0.1:${new URL(web.url).port}/inside` })
        .end(),
    ...hostedPages,
  })
  const { port } = new URL(web.url)
  const tokens = Object.entries(TOKENS).map(([name, token]) => ({
    name,
    hash: hashToken(token),
    project: `project-${name}`,
    roles: ['member'],
  }))
  await writeFile(temp('tokens.yaml'), stringify({ tokens }))
  const server = await startServer(temp('ingot.yaml'), {
    data_dir: temp('data'),
    auth: { mode: 'token', tokens_file: temp('tokens.yaml') },
    import: { web: { allowed_hosts: ['localhost'], allowed_ports: [Number(port)], retries: 0 } },
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await web[Symbol.asyncDispose]()
  })

  const ask = async (
    line: string,
    { as = 'alice', body, type = 'application/json' }: Question = {},
  ) => {
    const [method = '', path = ''] = line.split(' ')
    const answer = await fetch(server.url + path, {
      method,
      headers: { accept: 'application/json', 'x-auth-token': TOKENS[as], 'content-type': type },
      ...(body !== undefined && {
        body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
      }),
    })
    const text = await answer.text()
    // oxlint-disable-next-line typescript/no-explicit-any -- tests look at what they expect
    const json: any = text.startsWith('{') ? JSON.parse(text) : undefined
    return { status: answer.status, text, json }
  }

  const put = async (id: string, body: Uint8Array, to = 'file') =>
    await ask(`PUT /v2/images/${id}/${to}`, { body, type: OCTETS })

  const create = async (disk_format = 'raw'): Promise<string> => {
    const body = { name: 'x', disk_format, container_format: 'bare' }
    return (await ask('POST /v2/images', { body })).json.id
  }

  const shown = async (id: string) => (await ask(`GET /v2/images/${id}`)).json

  /** Waits until it is so; the clients here leave before they are told anything. */
  const until = async <T>(look: () => Promise<T | undefined>, what: string): Promise<T> => {
    const end = Date.now() + PATIENCE_MS
    for (;;) {
      const found = await look()
      if (found !== undefined) return found
      assert.ok(Date.now() < end, `never: ${what}\n${server.log.slice(-20).join('\n')}`)
      await wait(20)
    }
  }

  const isQueuedAgain = async (id: string): Promise<void> => {
    const back = async () => {
      const { status, size, checksum } = await shown(id)
      return status === 'queued' && size === null && checksum === null ? true : undefined
    }
    await until(back, `${id} is queued again`)
  }

  /** Everything that stands in the store and the spool. */
  const filesLeft = async (): Promise<string[]> => {
    const files = await Promise.all(
      ['images', 'spool'].map(async (name) => {
        const entries = await readdir(temp(`data/${name}`), {
          recursive: true,
          withFileTypes: true,
        })
        return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
      }),
    )
    return files.flat()
  }

  const nothingIsLeft = async (id: string): Promise<void> => {
    const none = async () =>
      (await filesLeft()).some((name) => name.includes(id)) ? undefined : true
    await until(none, `nothing is left of ${id}`)
  }

  const dial = async (): Promise<Socket> => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }

  /** What the log says of answers and errors that the server should not have had. */
  const faults = () =>
    server.log.filter((line) => line.includes('"stack"') || line.includes('"status":500'))
  return {
    temp,
    pages,
    web,
    server,
    ask,
    put,
    create,
    shown,
    until,
    isQueuedAgain,
    filesLeft,
    nothingIsLeft,
    dial,
    faults,
  }
}
