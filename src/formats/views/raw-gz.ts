import { crc32WithoutZeros } from '../../bytes/crc32.ts'
import { clustersOf } from '../_clusters-of.ts'
import { storedLength, storedStream } from '../_deflate-stream.ts'
import { framedDisk } from '../_framed-disk.ts'
import {
  GZIP_EXTRA,
  gzipCluster,
  gzipClusterLength,
  gzipMember,
  gzipZeros,
  gzipZerosLength,
} from '../_gzip-member.ts'
import { UNIT } from '../disk-map.ts'
import { type OrderedContent, wholeContent } from '../ordered-content.ts'
import type { ViewFormat, ViewInput } from '../view.ts'

/** The disk as gzip would give it, in many members: one for each data unit and for each hole. */
export const rawGz: ViewFormat = {
  name: 'raw.gz',
  summary: 'the raw disk, compressed by gzip',
  endings: ['raw.gz', 'img.gz'],
  mediaType: 'application/gzip',
  needs: 'deflate',
  smallestOf: 'deflate-wide',
  version: 1,
  make: (input) => wholeContent(orderOf(input)),
  order: (input) => orderOf(input),
}

function orderOf(input: ViewInput): OrderedContent {
  const clusters = clustersOf(input)
  return framedDisk(clusters, {
    unit: (cluster) => gzipCluster(clusters, cluster),
    unitLength: (cluster) => gzipClusterLength(clusters, cluster),
    shortUnit: (cluster, bytes, length) => {
      const crc = crc32WithoutZeros(clusters.crc32(cluster), UNIT - length)
      return gzipMember(storedStream(bytes, length), length, crc)
    },
    shortUnitLength: (length) => storedLength(length) + GZIP_EXTRA,
    zeros: gzipZeros,
    zerosLength: gzipZerosLength,
  })
}
