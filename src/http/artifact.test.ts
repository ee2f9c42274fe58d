import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { it } from 'node:test'
import type { OpenArtifact } from '../factory/factory.ts'
import { endOf } from '../testing/test-factory.ts'
import { openTestServer } from '../testing/test-service.ts'

const TDL = `<template><name>mock</name><os><name>MockOS_A</name><version>1</version><arch>x86_64</arch>
<install type='url'><url>http://mirror.example/os/</url></install></os></template>`

it('an artifact is waited for, however long its first byte takes', async () => {
  await using server = await openTestServer()
  const { factory } = server.service
  const body = { type: 'base', template: TDL }
  const { json } = await server.ask('POST /ingot/v1/builds', { as: 'alice', body })
  await endOf(factory, json.id)
  const asked = Promise.withResolvers<void>()
  const made = Promise.withResolvers<void>()
  const archive: OpenArtifact = {
    kind: 'file',
    fileName: 'box.tar',
    mediaType: 'application/x-tar',
    size: 4,
    stream: async function* () {
      asked.resolve()
      await made.promise
      yield Buffer.from('made')
    },
    [Symbol.asyncDispose]: async () => {},
  }
  Object.assign(factory, { openArtifact: async () => archive })
  const connected = once(server.app.server, 'connection')
  const answer = fetch(`${server.url}/ingot/v1/builds/${json.id}/artifact`, {
    headers: { 'x-auth-token': 'alice' },
  })
  const [socket] = (await connected) as [Socket]
  assert.ok(server.app.server.timeout > 0)
  await asked.promise
  assert.equal(socket.timeout, 0, 'while it is made nobody is cut off for silence')
  made.resolve()
  assert.equal(await (await answer).text(), 'made')
  assert.ok((socket.timeout ?? 0) > 0, 'then it is the client who may be slow')
})
