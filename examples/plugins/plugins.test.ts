/** Both parts keep their contracts, against a server that is made here. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { testCloudTargetContract, testOsBuilderContract } from 'ingot/testing'
import { cloudImageBuilder } from './cloud-image.ts'
import { httpPutTarget } from './http-put.ts'

const TOKEN = 'a-token-that-nobody-may-read'

async function serve(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { url: `http://127.0.0.1:${port}/`, close }
}

testOsBuilderContract('cloud-image', async () => {
  const disk = Buffer.alloc(64 * 1024, 'a disk ')
  const { url, close } = await serve((_, response) => response.end(disk))
  const sha256 = createHash('sha256').update(disk).digest('hex')
  return {
    builder: cloudImageBuilder,
    options: {
      cloud_image: `${url}disk.raw`,
      cloud_image_sha256: sha256,
      cloud_image_format: 'raw' as const,
    },
    wrongOptions: [
      {},
      { cloud_image: url },
      { cloud_image: url, cloud_image_sha256: 'short' },
      { cloud_image: url, cloud_image_sha256: sha256, cloud_image_format: 'iso' },
      { cloud_image: url, cloud_image_sha256: sha256, and: 'more' },
    ],
    close,
  }
})

testCloudTargetContract('http-put', async () => {
  const files = new Set<string>()
  const { url, close } = await serve((request, response) => {
    const { method, url: path = '', headers } = request
    const answer = (status: number) =>
      request.resume().on('end', () => response.writeHead(status).end())
    if (headers.authorization !== `Bearer ${TOKEN}`) answer(401)
    else if (method === 'DELETE') answer(files.delete(path) ? 204 : 404)
    else {
      files.add(path) // from the first byte on, as careless servers do
      answer(201)
    }
  })
  return {
    target: httpPutTarget,
    options: {},
    wrongOptions: [{ http_format: 'iso' }, { more: 1 }],
    provider: { name: 'shelf', options: { url }, credentials: { token: TOKEN } },
    secrets: [TOKEN],
    listElsewhere: async () => [...files],
    close,
  }
})
