/**
 * Users of the factory who mean no good, at the real server: what they order, where they stop, whose builds they name. It
 * answers them all, does nothing for them that they may not have, and tells nothing that is not theirs.
 */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { stringify } from 'yaml'
import { hashToken } from '../src/access/identity/token-hash.ts'
import { readEvents } from '../src/bytes/event-stream.ts'
import { type Served, startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'
import { mockTemplate } from '../src/testing/test-factory.ts'
import { openWebServer } from '../src/testing/web-server.ts'

const temp = await tempDir()
const CALLERS = { alice: 'member', bob: 'member', root: 'admin' } as const
const BUILDS = '/ingot/v1/builds'
const { text: TDL } = mockTemplate()

let server: Served
before(async () => {
  const tokens = Object.entries(CALLERS).map(([name, role]) => ({
    name,
    hash: hashToken(`token-of-${name}`),
    project: `project-${name}`,
    roles: [role],
  }))
  await writeFile(temp('tokens.yaml'), stringify({ tokens }))
  server = await startServer(temp('ingot.yaml'), {
    data_dir: temp('data'),
    cache_dir: temp('cache'),
    auth: { mode: 'token', tokens_file: temp('tokens.yaml') },
    factory: {
      work_dir: temp('work'),
      private_hosts: ['localhost'],
      providers: { there: { target: 'mock', credentials: { password: 'pass-of-config-77' } } },
    },
  })
})
after(async () => await server[Symbol.asyncDispose]())

interface Question {
  readonly as?: keyof typeof CALLERS
  readonly body?: unknown
  readonly raw?: string
  readonly type?: string
}

async function ask(line: string, { as = 'alice', body, raw, type }: Question = {}) {
  const [method = '', path = ''] = line.split(' ')
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const answer = await fetch(server.url + path, {
    method,
    headers: {
      accept: 'application/json',
      'x-auth-token': `token-of-${as}`,
      ...(sent !== undefined && { 'content-type': type ?? 'application/json' }),
    },
    ...(sent !== undefined && { body: sent }),
  })
  const text = await answer.text()
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look at what they expect
  const json: any = text.startsWith('{') ? JSON.parse(text) : undefined
  return { status: answer.status, text, json }
}

const order = async (body: object, as: keyof typeof CALLERS = 'alice') =>
  await ask(`POST ${BUILDS}`, { as, body: { type: 'base', template: TDL, ...body } })

/** The build when it has ended. */
async function ended(id: string, as: keyof typeof CALLERS = 'alice') {
  const headers = { 'x-auth-token': `token-of-${as}` }
  const { body } = await fetch(`${server.url}${BUILDS}/${id}/events`, { headers })
  if (body) for await (const _ of readEvents(body)) continue
  return (await ask(`GET ${BUILDS}/${id}`, { as })).json
}

describe('what is sent', () => {
  const junk = [null, 1e308, -1, true, '', '\ud800', [], [1], {}, { a: [{}] }, '__proto__']

  it('may be of any type in any field of an order: it is refused or done', async () => {
    const fields =
      'type template files builder target parent_id provider definition credentials parameters lenient'
    for (const field of fields.split(' '))
      for (const value of junk)
        for (const more of [{}, { type: 'provider', target: 'mock', provider: 'there' }]) {
          const { status, text } = await order({ ...more, [field]: value })
          assert.ok(status < 500, `${field}: ${JSON.stringify(value)}: ${status} ${text}`)
        }
    for (const name of ['timeout', 'timeouts', 'callbacks', 'builder', 'mock_size', 'toString'])
      for (const value of junk) {
        const parameters = { [name]: value }
        const fields = { template: TDL, target: 'mock', provider: 'there', parameters }
        for (const line of ['base_images', 'provider_images']) {
          const { status, text } = await ask(`POST /imagefactory/${line}`, { body: fields })
          assert.ok(status < 500, `${name}: ${JSON.stringify(value)}: ${status} ${text}`)
        }
      }
  })

  it('is bounded in size, depth, and number of fields', async () => {
    const form = 'application/x-www-form-urlencoded'
    const part = '--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n'
    const multipart = 'multipart/form-data; boundary=b'
    for (const [raw, type] of [
      ['['.repeat(100_000), 'application/json'],
      [`"${'x'.repeat(20_000_000)}"`, 'application/json'],
      ['a&'.repeat(1_000_000), form],
      [`${part.repeat(30_000)}--b--\r\n`, multipart],
      ['--b'.repeat(600_000), multipart],
    ] as const)
      for (const path of [BUILDS, '/imagefactory/base_images']) {
        const { status } = await ask(`POST ${path}`, { raw, type })
        assert.ok(status === 400 || status === 413, `${type} at ${path}: ${status}`)
      }
  })

  it('holds no bombs', async () => {
    const aliases = ['b: &b [*a,*a,*a,*a,*a,*a,*a,*a]', 'c: &c [*b,*b,*b,*b,*b,*b,*b,*b]']
    for (const template of [
      '<!DOCTYPE t [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><template><name>&b;</name></template>',
      '<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]><template><name>&a;</name></template>',
      `<template>${'<a>'.repeat(100_000)}`,
      `<template ${'a="b" '.repeat(30_000)}/>`,
      `${'&'.repeat(100_000)}: [`,
      `a: &a [x]\n${aliases.join('\n')}\nvalidators: [*c, *c, *c, *c]`,
    ])
      assert.equal((await order({ template })).status, 400, template.slice(0, 60))
  })
})

describe('what belongs to others', () => {
  it('is not there, whatever is asked of it', async () => {
    const { json } = await order({})
    const { id } = await ended(json.id)
    const asBob = { as: 'bob' } as const
    for (const path of ['', '/events', '/log', '/children', '/artifact', '/documents/sbom'])
      assert.equal((await ask(`GET ${BUILDS}/${id}${path}`, asBob)).status, 404, path)
    for (const path of ['', '/raw_image', '/target_images'])
      assert.equal((await ask(`GET /imagefactory/base_images/${id}${path}`, asBob)).status, 404)
    for (const line of [`POST ${BUILDS}/${id}/cancel`, `POST ${BUILDS}/${id}/retry`])
      assert.equal((await ask(line, asBob)).status, 404)
    for (const path of [`${BUILDS}/${id}`, `/imagefactory/base_images/${id}`, `/v2/images/${id}`])
      assert.equal((await ask(`DELETE ${path}`, asBob)).status, 404)
    const child = { type: 'target', target: 'mock', template: undefined, parent_id: id }
    assert.equal((await order(child, 'bob')).status, 404)
    const { json: found } = await ask(`GET ${BUILDS}?parent_id=${id}&name=mock`, asBob)
    assert.deepEqual(found.builds, [])
    assert.equal((await ask(`GET ${BUILDS}/${id}`)).status, 200)
  })

  it('is not had by handing an order on to another Ingot, whose word counts for more', async () => {
    for (const parameters of [
      { builder: 'remote', endpoint: 'http://127.0.0.1:1' },
      { builder: ['mock'], endpoint: 'http://127.0.0.1:1' },
      { builder: 'remote', remote: 'a', remote_parameters: { trusted: true } },
      { builder: 'remote', remote: 'a', remote_parameters: { endpoint: 'http://127.0.0.1:1' } },
      { remote_parameters: { remote_parameters: { trusted: true } } },
    ])
      assert.equal((await order({ parameters })).status, 403, JSON.stringify(parameters))
  })
})

const debian = (install: string) =>
  `<template><name>t</name><os><name>Debian</name><version>12</version><arch>x86_64</arch>${install}<rootpw>x</rootpw></os></template>`
const byIso = (url: string) => debian(`<install type="iso"><iso>${url}</iso></install>`)
const byTree = (url: string) => debian(`<install type="url"><url>${url}</url></install>`)

/** Why a build by that template failed. */
async function errorOf(template: string, builder: string): Promise<string> {
  const { status, json, text } = await order({ template, builder })
  assert.equal(status, 202, text)
  const { status: end, error } = await ended(json.id)
  assert.equal(end, 'FAILED')
  return error
}

describe('what a template names', () => {
  it('is not this host’s, nor its networks’', async () => {
    await using inside = await openWebServer({ '/a.iso': 'inside' })
    for (const url of [`${inside.url}/a.iso`, 'http://169.254.169.254/a.iso', 'http://[::1]/a.iso'])
      assert.match(await errorOf(byIso(url), 'installer'), /is not on the public internet/)
    assert.match(await errorOf(byIso('file:///etc/shadow'), 'installer'), /files of this host/)
    assert.match(
      await errorOf(byTree('file:///srv/debian'), 'bootstrap'),
      /wanted a mirror at http/,
    )
    assert.match(
      await errorOf(byTree('http://169.254.169.254/debian'), 'bootstrap'),
      /is not on the public internet/,
    )
    assert.deepEqual(inside.asked, [])
  })

  it('may be on hosts that the operator names, and not where these send us', async () => {
    await using inside = await openWebServer({
      '/a.iso': (_, response) =>
        response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
    })
    const url = `${inside.url.replace('127.0.0.1', 'localhost')}/a.iso`
    const error = await errorOf(byIso(url), 'installer')
    assert.match(error, /169\.254\.169\.254, which is not on the public internet/)
    assert.deepEqual(inside.asked, ['/a.iso'])
  })
})

describe('what is secret', () => {
  it('is not in answers, logs, the database or directories, before or after', async () => {
    const secrets = {
      credentials: { user: 'u', password: 'pass-of-account-31' },
      mock_secret: 'pass-of-parameter-32',
      callbacks: ['https://u:pass-of-callback-33@192.0.2.1/x'],
    }
    const { credentials, ...hidden } = secrets
    const where = { type: 'provider', target: 'mock', provider: 'given', definition: {} }
    const parameters = { ...hidden, mock_wait: 1, mock_hold: 1 }
    const { status, json, text } = await order({ ...where, credentials, parameters }, 'root')
    assert.equal(status, 202, text)
    const found: string[] = []
    const look = async (when: string) => {
      const database = (await readdir(temp('data'))).filter((name) => name.startsWith('catalog.db'))
      const files = await Promise.all(
        database.map(async (name) => await readFile(temp(`data/${name}`), 'latin1')),
      )
      const told = [json.id, json.parent_id].map(async (id) =>
        ['', '/log', '/children', '/documents/timeline'].map(
          async (path) => (await ask(`GET ${BUILDS}/${id}${path}`, { as: 'root' })).text,
        ),
      )
      const answers = await Promise.all((await Promise.all(told)).flat())
      for (const place of [...files, ...answers, ...server.log, text])
        for (const [secret] of place.matchAll(/pass-of-(account|parameter|callback|config)-\d\d/g))
          found.push(`${when}: ${secret} in ${place.slice(0, 60)}`)
    }
    await look('while it is built')
    assert.equal((await ended(json.id, 'root')).status, 'COMPLETE')
    await look('at the end')
    assert.deepEqual(found, [])
    assert.deepEqual(await readdir(temp('work')), [])
  })
})

describe('who changes their mind', () => {
  it('cancels, begins again and deletes at once, and every build ends all the same', async () => {
    const ids: string[] = []
    for (let at = 0; at < 12; at++) {
      const { json } = await order({ parameters: { mock_wait: at / 20, mock_hold: 2 } })
      ids.push(json.id)
    }
    const storm = ids.flatMap((id) => [
      ...['cancel', 'retry', 'cancel', 'retry'].map((deed) => `POST ${BUILDS}/${id}/${deed}`),
      `DELETE ${BUILDS}/${id}`,
      `DELETE /imagefactory/base_images/${id}`,
    ])
    const answers = await Promise.all(storm.map(async (line) => await ask(line)))
    for (const { status, text } of answers) assert.ok(status < 500, text)
    for (const id of ids) {
      const build = await ended(id)
      assert.match(build?.status ?? 'DELETED', /^(COMPLETE|FAILED|DELETED)$/)
    }
    const { json: left } = await ask('GET /ingot/v1/leftovers', { as: 'root' })
    assert.deepEqual(left.leftovers, [])
    assert.deepEqual(await readdir(temp('cache/mock-things')), [])
  })

  it('follows a build by hundreds of connections, and takes nothing: others are answered', async () => {
    const { json } = await order({
      parameters: { mock_wait: 2, mock_console: 'line\n'.repeat(9000) },
    })
    const question = `GET ${BUILDS}/${json.id}/events?after=0 HTTP/1.1\r\nhost: a\r\nx-auth-token: token-of-alice\r\n\r\n`
    const { port } = new URL(server.url)
    const sockets: Socket[] = []
    for (let at = 0; at < 300; at++) {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(question))
      socket.pause().on('error', () => {})
      sockets.push(socket)
    }
    assert.equal((await ended(json.id)).status, 'COMPLETE')
    for (const socket of sockets) socket.destroy()
    assert.equal((await ask(`GET ${BUILDS}?limit=1`)).status, 200)
  })
})
