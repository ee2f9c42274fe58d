import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { boundaryOf, parseMultipart } from './_multipart.ts'

const refused = failsWith('REQUEST_INVALID')

/** As the platform's own writer of forms makes it. */
async function write(fields: readonly (readonly [string, string])[]) {
  const form = new FormData()
  for (const [name, value] of fields) form.append(name, value)
  const request = new Request('http://x/', { method: 'POST', body: form })
  const bytes = new Uint8Array(await request.arrayBuffer())
  return { bytes, boundary: boundaryOf(request.headers.get('content-type') ?? '') }
}

describe('a multipart form', () => {
  it('is read as it was written', async () => {
    const text = fc.string({ unit: 'binary' }).map((one) => one.replaceAll(/[\r\n]+/g, '\r\n'))
    const name = fc.stringMatching(/^[a-z_"\\ ]{1,10}$/).map((one) => one.replaceAll('\\', ''))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, text), { maxLength: 6 }), async (fields) => {
        const { bytes, boundary } = await write(fields)
        assert.deepEqual(parseMultipart(bytes, boundary), fields)
      }),
      { numRuns: 50 },
    )
  })

  it('may hold files, other headers, a preamble and an epilogue', () => {
    const part =
      'Content-Type: text/xml\r\nContent-Disposition: form-data; name=template; filename="a.tdl"'
    const body = `hello\r\n--b \r\n${part}\r\n\r\n<template/>\r\n--b--\r\nbye`
    assert.deepEqual(parseMultipart(Buffer.from(body), 'b'), [['template', '<template/>']])
  })

  it('that is cut short, or is none, is refused, and is no bug', () => {
    for (const body of [
      '',
      '--b',
      '--b\r\n\r\nx',
      '--b\r\nContent-Disposition: x\r\n\r\n1\r\n--b--',
    ])
      assert.throws(() => parseMultipart(Buffer.from(body), 'b'), refused, JSON.stringify(body))
    const word = fc.constantFrom('--b', '\r\n', '--', ':', 'name="x"', 'content-disposition', ';')
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        try {
          parseMultipart(Buffer.from(words.join('')), 'b')
        } catch (error) {
          assert.ok(isFailure(error, 'REQUEST_INVALID'))
        }
      }),
    )
    assert.throws(() => boundaryOf('multipart/form-data'), refused)
  })
})
