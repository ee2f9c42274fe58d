/**
 * Pictures of a disk: where its partitions lie and how much of each part is data. As lines of text for a
 * terminal, as SVG for a page. Pure: what is drawn is read by `read-layout.ts`.
 */
import { formatSize } from '../base/units.ts'
import type { DiskMap } from './disk-map.ts'
import { dataIn, type DiskLayout, type LaidPart, plainText } from './read-layout.ts'

/** How full a column is, from nothing to all data. */
const SHADES = [' ', '░', '▒', '▓', '█'] as const
const MIN_COLUMNS = 20

/**
 * Lines of at most `columns` characters: a ruler, the disk shaded by how much of it is data, and the
 * partitions below.
 */
export function drawText({ map, parts }: DiskLayout, columns: number): string {
  const width = Math.max(Math.min(columns, 200) - 2, MIN_COLUMNS)
  const shades = sharesOf(map, width).map((share) => SHADES[shadeOf(share)])
  return [ruler(map.size, width), `│${shades.join('')}│`, ` ${labels(parts, map.size, width)}`]
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Which part of each column is data, from 0 to 1. */
function sharesOf(map: DiskMap, columns: number): number[] {
  return Array.from({ length: columns }, (_, column) => {
    const from = Math.floor((column / columns) * map.size)
    const to = Math.max(Math.floor(((column + 1) / columns) * map.size), from + 1)
    return dataIn(map, from, Math.min(to, map.size)) / (to - from)
  })
}

/** Only nothing is drawn as nothing, and only everything as everything. */
function shadeOf(share: number): number {
  const most = SHADES.length - 1
  if (share === 0 || share === 1) return share * most
  return Math.min(Math.max(Math.round(share * most), 1), most - 1)
}

/** Sizes above the columns where they are. */
function ruler(size: number, width: number): string {
  const marks = Math.max(Math.min(Math.floor(width / 16), 8), 1)
  const line = Array<string>(width + 2).fill(' ')
  for (let mark = 0; mark <= marks; mark++) {
    const text = mark === 0 ? '0' : formatSize((size / marks) * mark)
    const at = Math.round((width / marks) * mark) + 1
    write(line, mark === marks ? line.length - text.length : at, text)
  }
  return line.join('')
}

/** A bracket for each partition, with as much of its name as fits. */
function labels(parts: readonly LaidPart[], size: number, width: number): string {
  const line = Array<string>(width).fill(' ')
  for (const part of parts) {
    if (part.kind !== 'partition') continue
    const from = Math.min(Math.floor((part.offset / size) * width), width - 1)
    const to = Math.max(Math.ceil(((part.offset + part.length) / size) * width), from + 1)
    const room = to - from
    if (room === 1) write(line, from, '╵')
    else
      write(
        line,
        from,
        `╰${nameOf(part)
          .slice(0, room - 2)
          .padEnd(room - 2, '─')}╯`,
      )
  }
  return line.join('')
}

function write(line: string[], at: number, text: string): void {
  for (const [index, char] of Array.from(text).entries())
    if (at + index >= 0 && at + index < line.length) line[at + index] = char
}

/** `1 vfat ESP`. */
function nameOf({ number, type, label }: LaidPart): string {
  return [number, type, label].filter((word) => word !== undefined && word !== '').join(' ')
}

const [WIDTH, MARGIN, BAR] = [960, 20, 64] as const

const STYLE = `
svg { font: 13px system-ui, sans-serif }
.back { fill: #fff } text { fill: #1b1f24 } .soft { fill: #57606a }
.disk { fill: #e6e9ed } .data { fill: #0b6bcb } .part { fill: none; stroke: #57606a }
@media (prefers-color-scheme: dark) {
.back { fill: #16191d } text { fill: #e6e9ec } .soft { fill: #9aa4af }
.disk { fill: #2a3037 } .data { fill: #58a6ff } .part { stroke: #9aa4af }
}
`

/**
 * A picture for light and dark pages, of at most a few hundred kilobytes however fragmented the disk is;
 * title and description say in words what it shows.
 */
export function drawSvg({ map, parts }: DiskLayout, fileName: string): string {
  const name = plainText(fileName)
  const partitions = parts.filter(({ kind }) => kind === 'partition')
  const data = `${formatSize(map.dataUnits * map.unit)} of ${formatSize(map.size)} hold data`
  const told = partitions.map(
    (part) =>
      `Partition ${nameOf(part)}: ${formatSize(part.length)} from ${formatSize(part.offset)}, ${percent(part)} data.`,
  )
  const rows = partitions.map((part, row) => {
    const top = BAR + 110 + row * 20
    return `<text x="${MARGIN}" y="${top}">${escape(nameOf(part))}</text><text class="soft" x="${WIDTH + MARGIN}" y="${top}" text-anchor="end">${formatSize(part.length)} from ${formatSize(part.offset)}, ${percent(part)} data</text>`
  })
  const height = BAR + 110 + rows.length * 20
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH + 2 * MARGIN} ${height}" role="img" aria-labelledby="title desc">
<title id="title">${escape(name)}: what stands where on the disk</title>
<desc id="desc">${escape([`${data}.`, ...told].join(' '))}</desc>
<style>${STYLE}</style>
<rect class="back" width="100%" height="100%"/>
<text x="${MARGIN}" y="28" font-size="16" font-weight="600">${escape(name)}</text>
<text class="soft" x="${WIDTH + MARGIN}" y="28" text-anchor="end">${data}</text>
<g transform="translate(${MARGIN} 44)">
<rect class="disk" width="${WIDTH}" height="${BAR}" rx="3"/>
${columnsOf(map).join('\n')}
${partitions.map((part) => bracket(part, map.size)).join('\n')}
</g>
${rows.join('\n')}
</svg>
`
}

/** Columns of data, one rectangle for neighbours that are equally full. */
function columnsOf(map: DiskMap): string[] {
  const steps = sharesOf(map, WIDTH).map((share) => Math.ceil(share * 10) / 10)
  const columns: string[] = []
  for (let from = 0; from < steps.length;) {
    let to = from + 1
    while (to < steps.length && steps[to] === steps[from]) to++
    const step = steps[from] ?? 0
    if (step > 0)
      columns.push(
        `<rect class="data" x="${from}" width="${to - from}" height="${BAR}" opacity="${(0.25 + 0.75 * step).toFixed(2)}"/>`,
      )
    from = to
  }
  return columns
}

/** The frame of a partition, with its number where there is room. */
function bracket({ number, offset, length }: LaidPart, size: number): string {
  const from = (offset / size) * WIDTH
  const width = Math.max((length / size) * WIDTH, 1)
  const label =
    width < 16
      ? ''
      : `<text class="soft" x="${(from + width / 2).toFixed(1)}" y="${BAR + 20}" text-anchor="middle">${number}</text>`
  return `<rect class="part" x="${from.toFixed(1)}" y="-3" width="${width.toFixed(1)}" height="${BAR + 6}" rx="3"/>${label}`
}

function percent({ data, length }: LaidPart): string {
  return `${length === 0 ? 0 : Math.round((data / length) * 100)} %`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
