/**
 * What builds on a real OpenStack cost the host that ordered them: `ingot serve` is given several at once, and it and its ssh
 * clients are a control group. Runs where the cloud can be reached, with its `OS_…` variables; `nova.ts` sees to that. The images
 * that it makes in the cloud are removed in the end.
 *
 *     DIR/run node bench/nova-cloud.ts [--builds N] [--template FILE] [--parameters FILE]
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openFactoryClient } from '../src/api/factory-client.ts'
import type { WireBuild } from '../src/api/factory-wire.ts'
import { makeContext } from '../src/base/context.ts'
import { runTool } from '../src/base/process.ts'
import { startServer } from '../src/testing/serve.ts'
import { openAccount } from './measure.ts'
import { INGOT, openPlace } from './place.ts'
import { orderingBars, printBars, printHeading } from './report.ts'

const MIB = 2 ** 20
const LOOK_MS = 500
const EXAMPLE = join(import.meta.dirname, '../examples/nova')

const { values } = parseArgs({
  options: {
    builds: { type: 'string', default: '5' },
    template: { type: 'string', default: join(EXAMPLE, 'debian-12.tdl') },
    parameters: { type: 'string', default: join(EXAMPLE, 'parameters.json') },
  },
})
const count = Number(values.builds)
const template = await readFile(values.template, 'utf8')
const parameters = JSON.parse(await readFile(values.parameters, 'utf8')) as object

await using place = await openPlace()
await using account = await openAccount()
const config = { data_dir: place.at('data') }
await using server = await startServer(place.at('ingot.yaml'), config, account.enter)
await using client = openFactoryClient({ endpoint: server.url }, makeContext())

printHeading('Building on a real cloud', `bench/nova-cloud.ts --builds ${count}`)
const before = await memory()
const cpuBefore = await account.readCpuS()
const start = performance.now()
let most = before
const looking = setInterval(() => void look(), LOOK_MS)
const orders = Array.from({ length: count }, () =>
  client.order({ type: 'base', template, parameters }),
)
const builds = await Promise.all((await Promise.all(orders)).map(({ id }) => follow(id)))
clearInterval(looking)
const wallS = (performance.now() - start) / 1000
const cpuS = (await account.readCpuS()) - cpuBefore

process.stdout.write(
  `| builds | of each s | wall s | CPU s | memory before | at most | of that ssh |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n` +
    `| ${count} | ${builds.map(secondsOf).join(', ')} | ${wallS.toFixed(0)} | ${cpuS.toFixed(1)} | ${inMiB(before.server)} | ${inMiB(most.server + most.others)} | ${inMiB(most.others)} |\n\n`,
)
for (const { error } of builds) if (error !== null) process.stdout.write(`- failed: ${error}\n`)
await removeImages()
const grown = (most.server + most.others - before.server - before.others) / MIB
process.exitCode = builds.every(({ status }) => status === 'COMPLETE')
  ? printBars(orderingBars({ count, memory: grown, core: cpuS / wallS / count }))
  : 1

/** Until it has ended, in whatever way. */
async function follow(id: string): Promise<WireBuild> {
  for await (const event of client.follow(id))
    if (event.kind === 'build')
      process.stderr.write(`${id}: ${event.build.percent} % ${event.build.activity}\n`)
  return await client.show(id)
}

/** The server's resident memory in bytes, and what the processes that it started have of their own. */
async function memory(): Promise<{ server: number; others: number }> {
  let others = 0
  for (const pid of await account.readPids())
    if (pid !== server.pid) others += await readStatus(pid, 'RssAnon')
  return { server: await readStatus(server.pid, 'VmRSS'), others }
}

async function readStatus(pid: number, field: string): Promise<number> {
  // it may have ended by now
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
}

async function look(): Promise<void> {
  const now = await memory()
  if (now.server + now.others > most.server + most.others) most = now
}

async function removeImages(): Promise<void> {
  for (const { properties } of builds) {
    const id = (properties as Record<string, unknown>)['x-image-properties-glance_id']
    if (typeof id === 'string') await runTool([INGOT, 'image', 'delete', id])
  }
}

function secondsOf({ started_at: from, ended_at: to }: WireBuild): string {
  return ((Date.parse(to ?? '') - Date.parse(from ?? '')) / 1000).toFixed(0)
}

function inMiB(size: number): string {
  return `${(size / MIB).toFixed(0)} MiB`
}
