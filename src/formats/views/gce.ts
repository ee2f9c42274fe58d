import { GiB, SECTOR } from '../../base/units.ts'
import { clustersOf } from '../_clusters-of.ts'
import {
  GZIP_EXTRA,
  gzipBytes,
  gzipCluster,
  gzipClusterLength,
  gzipZeros,
} from '../_gzip-member.ts'
import { storedLength } from '../_deflate-stream.ts'
import { piecesContent } from '../_pieces.ts'
import { placedContent, Places } from '../_places.ts'
import { roundUp } from '../_segments.ts'
import { PART_BLOCKS, sparseTarHead } from '../_sparse-tar.ts'
import { TAR_END, TAR_RECORD } from '../tar-header.ts'
import { UNIT } from '../disk-map.ts'
import { type OrderedContent, wholeContent } from '../ordered-content.ts'
import type { ViewFormat, ViewInput } from '../view.ts'

/**
 * What Google Compute Engine imports: a tar archive of GNU's old form, compressed by gzip, with the one
 * sparse file `disk.raw`. Its size has to be whole GiB, so a smaller disk ends with more zeros.
 */
export const gce: ViewFormat = {
  name: 'gce',
  summary: 'Google Compute Engine: tar.gz with a sparse disk.raw of whole GiB',
  endings: ['tar.gz'],
  mediaType: 'application/gzip',
  needs: 'deflate',
  smallestOf: 'deflate-wide',
  version: 1,
  make: (input) => wholeContent(orderOf(input)),
  order: (input) => orderOf(input),
}

function orderOf(input: ViewInput): OrderedContent {
  const clusters = clustersOf(input)
  const { map, count } = clusters
  const head = sparseTarHead(map, 'disk.raw', roundUp(map.size, GiB))
  const headParts = new Places(Math.ceil(head.blocks / PART_BLOCKS), (part) => {
    const blocks = Math.min(PART_BLOCKS, head.blocks - part * PART_BLOCKS)
    return storedLength(blocks * SECTOR) + GZIP_EXTRA
  })
  const parts = new Places(count, (cluster) => gzipClusterLength(clusters, cluster))
  const length = head.blocks * SECTOR + count * UNIT
  return {
    head: placedContent(headParts, (part) => gzipBytes(head.part(part))),
    parts,
    partAt: (cluster) => gzipCluster(clusters, cluster),
    tail: () => piecesContent(gzipZeros(roundUp(length + TAR_END, TAR_RECORD) - length)),
  }
}
