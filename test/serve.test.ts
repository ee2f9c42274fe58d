/** `ingot serve` as an operator meets it: starting, refusing, draining, tokens. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runProcess } from '../src/base/process.ts'
import { startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const temp = await tempDir()

/** `ingot serve` that must refuse: exit code and what it says. */
async function refusal(words: readonly string[], config?: string) {
  if (config !== undefined) writeFileSync(temp('refused.yaml'), config)
  const more = config === undefined ? [] : ['--config', temp('refused.yaml')]
  const { code, stderr } = await runProcess([INGOT, 'serve', ...words, ...more], {
    timeoutMs: 300_000,
  })
  assert.doesNotMatch(stderr.toString(), /a bug|\n {4}at /)
  return { code, said: stderr.toString() }
}

const free = ['--listen', '127.0.0.1:0']

describe('ingot serve', () => {
  it('prints where it listens, answers there, and ends with code 0', async () => {
    await using server = await startServer(temp('a.yaml'), {
      data_dir: temp('a'),
      log_level: 'info',
    })
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    const answer = await fetch(`${server.url}/healthcheck`)
    assert.equal(await answer.text(), 'OK')
    assert.equal(await server.stop(), 0)
    assert.ok(server.log.some((line) => line.includes('"event":"server.ended"')))
  })

  it('refuses a directory that another server holds, and a port that another has', async () => {
    await using server = await startServer(temp('b.yaml'), { data_dir: temp('b') })
    const held = await refusal([...free, '--data-dir', temp('b')])
    assert.equal(held.code, 1)
    assert.match(held.said, /another server \(process \d+\) holds .*\/b/)
    const { host } = new URL(server.url)
    const taken = await refusal(['--listen', host, '--data-dir', temp('c')])
    assert.equal(taken.code, 1)
    assert.match(taken.said, new RegExp(`cannot listen on ${host}`))
    await server.kill()
    await using again = await startServer(temp('b.yaml'), { data_dir: temp('b') })
    assert.equal(await again.stop(), 0)
  })

  it('refuses to let others in unasked, unless told so', async () => {
    const { code, said } = await refusal(['--listen', '0.0.0.0:0', '--data-dir', temp('d')])
    assert.equal(code, 2)
    assert.match(said, /anybody who reaches 0\.0\.0\.0/)
    assert.match(said, /allow_remote_without_auth/)
    const told = { listen: '0.0.0.0:0', allow_remote_without_auth: true, data_dir: temp('d') }
    await using server = await startServer(temp('d.yaml'), told)
    assert.equal(await server.stop(), 0)
  })

  it('says what is wrong with its configuration, by its place', async () => {
    const cases: [string, RegExp][] = [
      ['lisen: 127.0.0.1:1', /lisen.*listen/],
      ['auth: {mode: maybe}', /auth\.mode/],
      ['auth: {mode: token}', /tokens_file/],
      ['auth: {mode: keystone}', /keystone/],
      ['stores: {default: x, list: [{id: a, type: file}]}', /stores|store/],
      ['stores: {default: a, list: [{id: a, type: tape}]}', /tape/],
      ['import: {steps: [melt]}', /melt/],
      ['image: {max_size: lots}', /image\.max_size/],
      ['listen: nowhere', /nowhere/],
      ['[', /YAML|refused\.yaml/],
    ]
    for (const [config, message] of cases) {
      const { code, said } = await refusal(['--data-dir', temp('e')], config)
      assert.equal(code, 2, `${config}: ${said}`)
      assert.match(said, message)
    }
    const none = await refusal(['--config', temp('nowhere.yaml')])
    assert.match(none.said, /nowhere\.yaml/)
  })

  it(
    'lets an upload that is under way end before it ends itself',
    { timeout: 300_000 },
    async () => {
      const config = { data_dir: temp('f'), log_level: 'info' }
      await using server = await startServer(temp('f.yaml'), config)
      const made = await fetch(`${server.url}/v2/images`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'late', disk_format: 'raw', container_format: 'bare' }),
      })
      const { id } = (await made.json()) as { id: string }
      const upload = request(`${server.url}/v2/images/${id}/file`, {
        method: 'PUT',
        headers: { 'content-type': 'application/octet-stream', 'content-length': 8 },
      })
      const answered = once(upload, 'response')
      upload.write('half')
      for (let status = ''; status !== 'saving';) {
        const shown = await fetch(`${server.url}/v2/images/${id}`)
        status = ((await shown.json()) as { status: string }).status
      }
      const ended = server.stop()
      const drains = () => server.log.some((line) => line.includes('server.draining'))
      while (!drains()) await new Promise((resolve) => setImmediate(resolve))
      upload.end('half')
      const [{ statusCode }] = (await answered) as [{ statusCode: number }]
      assert.equal(statusCode, 204)
      assert.equal(await ended, 0)
      await using again = await startServer(temp('f.yaml'), { data_dir: temp('f') })
      const data = await fetch(`${again.url}/v2/images/${id}/file`)
      assert.equal(await data.text(), 'halfhalf')
    },
  )
})

/** What `ingot token` prints. */
const makeToken = async (...words: string[]) => {
  const { code, stdout, stderr } = await runProcess([INGOT, 'token', ...words])
  assert.equal(code, 0, stderr.toString())
  return stdout.toString().trim()
}

describe('ingot token', () => {
  const file = temp('tokens/tokens.yaml')
  mkdirSync(temp('tokens'))
  it('makes tokens that a server lets in, and that no file holds', async () => {
    const admin = await makeToken('root', '--project', 'ops', '--role', 'admin', '--file', file)
    assert.match(admin, /^ingot_\S{43}$/)
    assert.equal(readFileSync(file, 'utf8').includes(admin), false)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const late = await makeToken(
      'alice',
      '--project',
      'web',
      '--expires',
      '2001-01-01T00:00:00Z',
      '--file',
      file,
    )
    const auth = { mode: 'token', tokens_file: file }
    await using server = await startServer(temp('g.yaml'), { data_dir: temp('g'), auth })
    const statusFor = async (token: string) =>
      (await fetch(`${server.url}/v2/images`, { headers: { 'x-auth-token': token } })).status
    assert.deepEqual(
      [await statusFor(admin), await statusFor(late), await statusFor('x')],
      [200, 401, 401],
    )
  })

  it('prints what belongs into the file, if none is named', async () => {
    const told = await makeToken('bob', '--project', 'web')
    assert.match(told, /^ingot_\S{43}\ntokens:\n {2}- name: bob\n {4}hash: sha256:[\da-f]{64}\n/)
  })

  it('notes a role that only a policy could know', async () => {
    const words = ['token', 'bob', '--project', 'web', '--role', 'amdin']
    const { code, stderr } = await runProcess([INGOT, ...words])
    assert.equal(code, 0)
    assert.match(stderr.toString(), /note: .* the role 'amdin'; did you mean 'admin'\?/)
  })

  it('refuses a time that is none, and a file that is none of tokens', async () => {
    writeFileSync(temp('other.yaml'), 'a: 1\n')
    for (const words of [
      ['x', '--project', 'p', '--expires', 'soon'],
      ['x'],
      ['x', '--project', 'p', '--file', temp('other.yaml')],
    ])
      assert.equal((await runProcess([INGOT, 'token', ...words])).code, 2)
    assert.equal(readFileSync(temp('other.yaml'), 'utf8'), 'a: 1\n')
  })
})
