import assert from 'node:assert/strict'
import { once } from 'node:events'
import { getPriority } from 'node:os'
import { it } from 'node:test'
import { Worker } from 'node:worker_threads'

it('has a thread give way, and no other of its process', async () => {
  const before = getPriority()
  const code = `
    import { readFileSync } from 'node:fs'
    import { parentPort } from 'node:worker_threads'
    import { giveWay } from '${new URL('thread-priority.ts', import.meta.url).href}'
    giveWay()
    const stat = readFileSync('/proc/thread-self/stat', 'utf8')
    parentPort.postMessage(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]))`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`))
  const [nice] = (await once(worker, 'message')) as [number]
  assert.equal(nice, Math.max(before, 10))
  assert.equal(getPriority(), before)
})
