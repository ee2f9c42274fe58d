import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readEvents } from '../bytes/event-stream.ts'
import { openTestServer } from '../testing/test-service.ts'

const TEMPLATE = `<template><name>mock</name><os><name>MockOS_A</name><version>1</version><arch>x86_64</arch>
<install type='url'><url>http://mirror.example/os/</url></install></os></template>`

/** A build that waits, and somebody who follows it. */
async function openScene() {
  const server = await openTestServer()
  const body = { type: 'base', template: TEMPLATE, parameters: { mock_wait: 600 } }
  const { json } = await server.ask('POST /ingot/v1/builds', { body })
  const gone = new AbortController()
  const response = await fetch(`${server.url}/ingot/v1/builds/${json.id}/events`, {
    headers: { 'x-auth-token': 'admin' },
    signal: gone.signal,
  })
  assert.ok(response.body)
  const events = readEvents(response.body)
  assert.equal((await events.next()).value?.event, 'build')
  return { server, events, gone, id: String(json.id) }
}

describe('a stream of events', () => {
  it('ends when the server is told to end, which does not wait for those who listen', async () => {
    const { server, events, id } = await openScene()
    const closed = server.app.close()
    const rest = await Array.fromAsync(events)
    assert.ok(rest.every(({ event }) => event !== 'end'))
    await closed
    await server.service.factory.cancel(id)
    await server.service[Symbol.asyncDispose]()
  })

  it('lets go of what it follows when its client leaves', async () => {
    const { server, events, gone, id } = await openScene()
    gone.abort()
    await assert.rejects(async () => await Array.fromAsync(events), { name: 'AbortError' })
    await server.ask(`POST /ingot/v1/builds/${id}/cancel`)
    await server[Symbol.asyncDispose]() // it would not, if somebody still listened
  })
})
