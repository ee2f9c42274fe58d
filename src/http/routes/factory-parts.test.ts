import assert from 'node:assert/strict'
import { it } from 'node:test'
import { openTestService } from '../../testing/test-service.ts'
import { createServer } from '../server.ts'

it('who has leftovers removed is not taken for gone while that lasts', async () => {
  await using service = await openTestService()
  const timeouts: (number | undefined)[] = []
  const reap = async () => {
    await new Promise(setImmediate) // by now it is waited for
    timeouts.push(...sockets.map(({ timeout }) => timeout))
    return []
  }
  const app = createServer({ ...service, factory: { ...service.factory, reap } })
  const sockets: { readonly timeout?: number | undefined }[] = []
  app.server.on('connection', (socket) => sockets.push(socket))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const headers = { 'x-auth-token': 'admin' }
  const answer = await fetch(`${url}/ingot/v1/leftovers`, { method: 'POST', headers })
  assert.equal(answer.status, 200)
  assert.deepEqual(timeouts, [0])
  await app.close()
})
