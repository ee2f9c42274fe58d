/**
 * What builds on a cloud cost the host that ordered them: several at once, on an OpenStack that is small, ours, and in this
 * process (so that its own work counts too), and slow on purpose: instances take their time, as real ones do. The guest is a
 * host with an sshd.
 *
 *     node bench/nova.ts [--builds N] [--seconds N] [--openstack DIR [--parameters FILE]]
 *
 * `--openstack`, else `INGOT_OPENSTACK`: then the same on a real OpenStack, by `nova-cloud.ts`. `DIR/run` runs a command where the
 * cloud can be reached, with the `OS_…` variables of one of its users; FILE says how builds are made there, as that of
 * examples/nova does, which is meant without it.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exitOf, startProcess } from '../src/base/process.ts'
import { buildJob } from '../src/testing/build-job.ts'
import { openNovaScene } from '../src/testing/nova-scene.ts'
import { startSshd } from '../src/testing/sshd.ts'
import { templateOf } from '../src/testing/template-of.ts'
import { openPlace } from './place.ts'
import { orderingBars, printBars, printHeading } from './report.ts'

const MIB = 2 ** 20
const LOOK_MS = 200

const { values } = parseArgs({
  options: {
    builds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '20' },
    openstack: { type: 'string', default: process.env['INGOT_OPENSTACK'] ?? '' },
    parameters: { type: 'string' },
  },
})
const [count, instanceS] = [Number(values.builds), Number(values.seconds)]

await using place = await openPlace()
await using sshd = await startSshd({
  users: { debian: { sudo: 'free' } },
  // There is no machine to be shut down: it is only written down that it was asked for.
  prepare: `printf '#!/bin/sh\\necho "$@" > /run/asked\\n' > /usr/local/sbin/systemctl
    chmod +x /usr/local/sbin/systemctl`,
})
await using scene = await openNovaScene()
const { state } = scene.fake
state.keypairs.set('mine', 'ssh-ed25519 AAAA')
const key = await readFile(sshd.identityFile, 'utf8')

const jobs = await Promise.all(
  Array.from({ length: count }, async (_, index) => {
    const workDir = place.at(`build-${index}`)
    await mkdir(workDir)
    return buildJob({
      workDir,
      image: { id: `00000000-0000-4000-8000-00000000000${index}` },
      template: templateOf('validators: [{file: {path: /tmp/made-on-a-cloud, content: so}}]'),
      options: {
        source_image: 'debian-12',
        image_name: `golden-${index}`,
        keypair: 'mine',
        private_key: key,
        ssh_port: sshd.port,
        clean: false,
      },
    })
  }),
)
const seen = new Map<string, number>()
state.onLook = (server) => {
  const since = seen.get(server.id) ?? Date.now()
  seen.set(server.id, since)
  const isStopping = jobs.some(({ written }) => written.phases.includes('stopping the instance'))
  if (isStopping) server.status = 'SHUTOFF'
  else server.status = Date.now() - since < instanceS * 1000 ? 'BUILD' : 'ACTIVE'
}

printHeading('Building on a cloud', `bench/nova.ts --builds ${count} --seconds ${instanceS}`)
const before = process.memoryUsage.rss()
const cpu = process.cpuUsage()
const start = performance.now()
let most = { own: before, children: 0 }
const looking = setInterval(() => void look(), LOOK_MS)
await Promise.all(jobs.map(async ({ job }) => await scene.builder.build(job)))
clearInterval(looking)
const wallS = (performance.now() - start) / 1000
const { user, system } = process.cpuUsage(cpu)
const cpuS = (user + system) / 1e6
const core = cpuS / wallS / count
const memory = (most.own - before + most.children) / MIB
process.stdout.write(
  `| builds | wall s | CPU s of this process | memory of it | of its ssh |\n| ---: | ---: | ---: | ---: | ---: |\n` +
    `| ${count} | ${wallS.toFixed(1)} | ${cpuS.toFixed(2)} | +${((most.own - before) / MIB).toFixed(0)} MiB | ${(most.children / MIB).toFixed(0)} MiB |\n\n`,
)
process.exitCode = printBars(orderingBars({ count, memory, core }))
process.exitCode ||= await onRealCloud()

/** The exit code of the benchmark there; 0 where there is none. */
async function onRealCloud(): Promise<number> {
  const { openstack, parameters } = values
  if (openstack === '') {
    process.stdout.write(
      '- Without a real cloud: --openstack or INGOT_OPENSTACK names the directory of one with its `run`\n',
    )
    return 0
  }
  const bench = [process.execPath, join(import.meta.dirname, 'nova-cloud.ts')]
  const options = ['--builds', String(count), ...(parameters ? ['--parameters', parameters] : [])]
  const argv = [join(openstack, 'run'), ...bench, ...options]
  return await exitOf(startProcess(argv, { stdio: 'inherit' }), 'nova-cloud.ts')
}

/** Memory of this process and of the ssh clients that it started. */
async function look(): Promise<void> {
  const own = process.memoryUsage.rss()
  let children = 0
  for (const pid of await readdir('/proc'))
    if (/^\d+$/.test(pid))
      children += await readFile(`/proc/${pid}/status`, 'latin1').then(sizeOfClient, () => 0)
  most = { own: Math.max(most.own, own), children: Math.max(most.children, children) }
}

function sizeOfClient(status: string): number {
  if (!/^Name:\s+ssh$/m.test(status)) return 0
  return Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024
}
