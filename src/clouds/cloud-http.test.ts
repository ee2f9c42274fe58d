import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { systemCode } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openWebServer } from '../testing/web-server.ts'
import type { Trust } from './cloud.ts'
import { type CloudHttp, isConnectionError, openCloudHttp, readBody } from './cloud-http.ts'

const at = await tempDir()

async function get(http: CloudHttp, url: string): Promise<string> {
  return (await readBody(await http.send({ url }))).toString()
}

suite('a cloud with a certificate of its own', async () => {
  const [key, cert] = [at('key.pem'), at('cert.pem')]
  const name = ['-subj', '/CN=cloud', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2']
  await runTool(['openssl', ...kind, '-keyout', key, '-out', cert, ...name])
  const authorities = await readFile(cert, 'utf8')
  const server = createServer({ key: await readFile(key), cert: authorities }, (_request, answer) =>
    answer.end('hello'),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => server.close())
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ask = async (trust: Trust) => {
    await using http = openCloudHttp({ trust })
    return await get(http, url)
  }

  test('is not believed', async () => {
    await assert.rejects(ask({}), (error) => systemCode(error) === 'DEPTH_ZERO_SELF_SIGNED_CERT')
  })

  test('is believed when its authority is named, or when anybody is', async () => {
    assert.equal(await ask({ authorities }), 'hello')
    assert.equal(await ask({ insecure: true }), 'hello')
  })
})

suite('a cloud over HTTP', async () => {
  const server = await openWebServer({
    '/silent': () => {},
    '/short': (_request, answer) => {
      answer.writeHead(200, { 'content-length': '10' })
      answer.write('half', () => answer.destroy())
    },
    '/echo': (request, answer) => void request.pipe(answer),
    '/large': 'x'.repeat(2000),
  })
  after(() => server[Symbol.asyncDispose]())

  test('that is silent is away', async () => {
    await using http = openCloudHttp({ timeoutMs: 30 })
    await assert.rejects(get(http, `${server.url}/silent`), isConnectionError)
  })

  test('that breaks off is away', async () => {
    await using http = openCloudHttp()
    await assert.rejects(get(http, `${server.url}/short`), isConnectionError)
  })

  test('gets all pieces of a body, whose length is told', async () => {
    await using http = openCloudHttp()
    const body = ['one ', 'two'].map((text) => Buffer.from(text))
    const answer = await http.send({ url: `${server.url}/echo`, method: 'PUT', body })
    assert.equal((await readBody(answer)).toString(), 'one two')
  })

  test('may not say more than is asked for', async () => {
    await using http = openCloudHttp()
    const answer = await http.send({ url: `${server.url}/large` })
    await assert.rejects(readBody(answer, 1000), /more than 1000 bytes/)
  })
})
