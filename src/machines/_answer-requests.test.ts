import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { answerRequests, respond } from './_answer-requests.ts'

const files = (path: string): Uint8Array | undefined =>
  path === '/secret/answer' ? Buffer.from('the answer') : undefined

const ask = (head: string): string => Buffer.from(respond(head, files)).toString()

test('answers the one path that is there, whatever else the question says', () => {
  for (const head of [
    'GET /secret/answer HTTP/1.1\r\nHost: 10.0.2.100',
    'GET /secret/answer?x=1 HTTP/1.0',
    'GET http://10.0.2.100/secret/answer HTTP/1.1',
    'GET /given/up HTTP/1.1\r\nHosGET /secret/answer HTTP/1.1',
  ])
    assert.match(
      ask(head),
      /^HTTP\/1\.1 200 OK\r\n[^]*Content-Length: 10\r\n[^]*\r\n\r\nthe answer$/,
    )
  assert.match(ask('HEAD /secret/answer HTTP/1.1'), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/)
})

test('gives nothing to other paths, and refuses what is no question', () => {
  for (const path of ['/', '/secret', '/secret/answer/', '/secret/../secret/answer', '/answer'])
    assert.match(ask(`GET ${path} HTTP/1.1`), /^HTTP\/1\.1 404 Not Found\r\n/)
  for (const head of [
    '',
    'POST /secret/answer HTTP/1.1',
    'GET secret/answer HTTP/1.1',
    'GET /\r\n',
  ])
    assert.match(ask(head), /^HTTP\/1\.1 400 Bad Request\r\n/)
})

test('answers one question after the other, in whatever pieces they come', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 60 }), { maxLength: 8 }), async (cuts) => {
      const questions = Buffer.from('GET /secret/answer HTTP/1.1\r\nA: b\r\n\r\n'.repeat(2))
      const written: string[] = []
      const stream = new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          written.push(chunk.toString())
          done()
        },
      })
      answerRequests(stream, files)
      const places = [0, ...cuts.toSorted((a, b) => a - b), questions.length]
      places.slice(1).forEach((end, index) => stream.push(questions.subarray(places[index], end)))
      stream.push(null)
      await once(stream, 'end')
      assert.deepEqual(
        written.map((answer) => answer.endsWith('\r\n\r\nthe answer')),
        [true, true],
      )
    }),
    { numRuns: 50 },
  )
})
