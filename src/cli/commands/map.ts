import { writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { asFileFailure } from '../../base/failure.ts'
import { formatSize } from '../../base/units.ts'
import type { ImageFormat } from '../../formats/open-image.ts'
import { drawSvg, drawText } from '../../formats/draw-map.ts'
import { type DiskLayout, type LaidPart, readLayout } from '../../formats/read-layout.ts'
import { imageFormatOption, openServedImage } from '../_served-image.ts'
import { formatTable } from '../_table.ts'
import type { CommandModule } from '../cli.ts'

interface MapFlags {
  format?: ImageFormat
  svg?: string
}

const HELP = `
The bar is the disk from its first byte to its last: blank holds nothing but zeros, █ is all data.
With --json: sizes, parts and every extent of data, as bytes.`

/** `ingot map IMAGE`: draws what stands where on the disk of an image. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('IMAGE [options]')
    .argument('<image>', 'the image file; it is not changed')
    .option('--svg <file>', 'write a picture instead; - is standard output')
    .addOption(imageFormatOption('--format'))
    .addHelpText('after', HELP)
    .action(async (image: string, flags: MapFlags) => {
      const cli = openCli(command)
      await using served = await openServedImage(image, flags.format, cli)
      const { disk, map, format } = served
      const layout = await readLayout(disk, map)
      if (flags.svg !== undefined) {
        const picture = drawSvg(layout, basename(image))
        if (flags.svg === '-') return cli.print(picture)
        await writeFile(flags.svg, picture).catch((error: unknown) => {
          throw asFileFailure(error, flags.svg ?? '')
        })
      }
      if (cli.json) cli.print(JSON.stringify({ image, format, ...toFacts(layout) }))
      else if (flags.svg === undefined)
        cli.print(
          `${basename(image)}: ${format}, ${drawAll(layout, process.stdout.columns ?? 100)}`,
        )
    })
}

/** For programs. */
function toFacts({ map, table, parts, notes }: DiskLayout) {
  return {
    size: map.size,
    data: map.dataUnits * map.unit,
    unit: map.unit,
    table,
    parts,
    notes,
    extents: [...map.extents()],
  }
}

function drawAll(layout: DiskLayout, columns: number): string {
  const { map, table, parts, notes } = layout
  const data = map.dataUnits * map.unit
  const summary = `${formatSize(map.size)}, ${formatSize(data)} of it data; ${TABLES[table]}`
  const rows = parts.map((part) => [
    part.number === undefined ? '' : String(part.number),
    part.kind === 'partition' ? part.label : part.kind === 'gap' ? '(between)' : '(whole disk)',
    part.type,
    formatSize(part.offset),
    formatSize(part.length),
    `${formatSize(part.data)} (${shareOf(part)})`,
  ])
  const listed = formatTable(['#', 'label', 'content', 'start', 'size', 'data'], rows)
  const odd = notes.map((note) => `note: ${note}`)
  return [summary, '', drawText(layout, columns), '', listed, ...odd].join('\n')
}

const TABLES: Readonly<Record<DiskLayout['table'], string>> = {
  gpt: 'GPT',
  mbr: 'MBR',
  none: 'no partition table',
  damaged: 'a damaged partition table',
}

function shareOf({ data, length }: LaidPart): string {
  if (data === 0 || data === length) return data === 0 ? '0 %' : '100 %'
  return `${Math.min(Math.max(Math.round((data / length) * 100), 1), 99)} %`
}
