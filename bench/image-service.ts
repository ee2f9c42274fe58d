/**
 * The image service against real Glance: the same requests, by the same clients, on the same machine, in
 * turn. Row by row each server is asked `--runs` times, one after the other; the figures are medians.
 * Glance is started by the scripts of `--glance DIR` (or `INGOT_PEERS`); without them Ingot is measured
 * alone, against what Glance did on a quiet machine with two processors.
 *
 *     node bench/image-service.ts [--glance DIR] [--runs N] [--quick] [--only show,upload,…] [--postgres]
 */
import { parseArgs } from 'node:util'
import { GiB, MiB } from '../src/base/units.ts'
import { startPostgres } from '../src/testing/postgres.ts'
import { Client } from './image-service/client.ts'
import { dataRows } from './image-service/data-rows.ts'
import { openGlance } from './image-service/glance.ts'
import { Material } from './image-service/material.ts'
import { firstRows, lastRows } from './image-service/own-rows.ts'
import { recordRows } from './image-service/record-rows.ts'
import type { Bench, Figures, Row, Scale } from './image-service/row.ts'
import { openIngot, type Server } from './image-service/server.ts'
import { median } from './measure.ts'
import { openPlace } from './place.ts'
import { type Bar, printBars, printHeading } from './report.ts'

const FULL: Scale = { seconds: 5, dense: GiB, sparse: 4 * GiB, disk: 10 * GiB }
const QUICK: Scale = { seconds: 2, dense: 256 * MiB, sparse: 512 * MiB, disk: 2 * GiB }
const IMAGES = 1000
const ROWS: readonly Row[] = [...firstRows, ...recordRows, ...dataRows, ...lastRows]

const { values } = parseArgs({
  options: {
    glance: { type: 'string', default: process.env['INGOT_PEERS'] ?? '' },
    runs: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    postgres: { type: 'boolean', default: false },
  },
})
const scale = values.quick ? QUICK : FULL
const runs = Number(values.runs ?? (values.quick ? 1 : 3))
const rows = chosenRows(values.only)

await using place = await openPlace()
await using stack = new AsyncDisposableStack()
const glance = await openGlance(values.glance)
const peer = 'why' in glance ? undefined : stack.use(glance)
const postgres = values.postgres ? stack.use(await startPostgres()) : undefined
const ingot = stack.use(
  await openIngot({
    directory: place.at('ingot'),
    identity: peer?.identity,
    database: await postgres?.createDatabase(),
  }),
)

const material = new Material(place)
const [own, other] = [openBench(ingot), peer && openBench(peer)]
printHeading(
  'The image service',
  `bench/image-service.ts ${process.argv.slice(2).join(' ')}`.trim(),
)
process.stdout.write('| | Ingot | Glance | × | × by CPU |\n| --- | --- | --- | ---: | ---: |\n')
const bars: Bar[] = []
for (const row of rows) {
  const [ours, theirs] = await measureInTurn(row, [own, row.alone ? undefined : other])
  if (ours === undefined) continue
  const cells = [
    row.what,
    row.show(ours),
    ...(theirs === undefined ? ['', '', ''] : besides(row, ours, theirs)),
  ]
  process.stdout.write(`| ${cells.join(' | ')} |\n`)
  bars.push(...row.bars(ours, theirs))
}
process.stdout.write(`\nMedians of ${runs}; CPU is that of the server’s processes alone.\n\n`)
if ('why' in glance) process.stdout.write(`- Without Glance: ${glance.why}\n\n`)
process.exitCode = printBars(bars)

function chosenRows(only: string | undefined): readonly Row[] {
  if (only === undefined) return ROWS
  return only.split(',').map((key) => {
    const row = ROWS.find((one) => one.key === key)
    if (row === undefined)
      throw new Error(`--only ${key}: there are ${ROWS.map((one) => one.key).join(', ')}`)
    return row
  })
}

/** The cells of Glance, and how many times better Ingot is. */
function besides(row: Row, ours: Figures, theirs: Figures): string[] {
  const byCpu = row.cpu && (row.cpu(theirs) / row.cpu(ours)).toFixed(1)
  return [row.show(theirs), row.ratio(ours, theirs).toFixed(1), byCpu ?? '']
}

function openBench(server: Server): Bench {
  const client = new Client(server)
  let images: Promise<readonly string[]> | undefined
  return {
    client,
    scale,
    material,
    images: () => (images ??= client.createImages(IMAGES)),
    startAnother,
  }
}

async function startAnother(): Promise<number> {
  const startedAt = performance.now()
  const directory = place.at(`another-${startedAt}`)
  await using another = await openIngot({ directory })
  await new Client(another).ask('GET', '/v2/images')
  return performance.now() - startedAt
}

/** The medians of all who take part. Glance that fails a row is told of, and left out of it. */
async function measureInTurn(
  row: Row,
  benches: readonly (Bench | undefined)[],
): Promise<(Figures | undefined)[]> {
  const found = benches.map((): Figures[] => [])
  for (let run = 0; run < runs; run++)
    for (const [index, bench] of benches.entries()) {
      if (bench === undefined) continue
      process.stderr.write(`${row.key}, run ${run + 1} of ${runs}: ${bench.client.server.name}\n`)
      found[index]?.push(await row.measure(bench))
    }
  return found.map(medians)
}

function medians(found: readonly Figures[]): Figures | undefined {
  const [first] = found
  if (first === undefined) return undefined
  const of = (name: string) => median(found.map((figures) => figures[name] ?? NaN))
  return Object.fromEntries(Object.keys(first).map((name) => [name, of(name)]))
}
