/* Every limit of the system, with its unit and its reason. A limit that is exceeded is refused with
 * a clear error at the edge: nothing is truncated and nothing is unbounded. */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

/* Members of a committee. One byte names a signer; a quorum of equal stakes of 89 is 60 signers. */
#define AUTHORITIES_MAX 100u

/* Signers of the smallest quorum: 60 x 65 bytes and a pre-block header fit one inbox message. */
#define QUORUM_SIGNERS_MAX 60u

/* One transaction, bytes. */
#define TRANSACTION_BYTES_MAX (256u * 1024u)

/* One batch in canonical form, bytes: 120 content pages, so one hash page covers it. */
#define BATCH_BYTES_MAX 480000u

/* Batches one header names, and their bytes together. */
#define HEADER_BATCHES_MAX       64u
#define HEADER_PAYLOAD_BYTES_MAX (2u * 1024u * 1024u)

/* One pre-block: a gRPC client with the default limit of 4 MiB can receive it. */
#define PREBLOCK_BATCHES_MAX 256u
#define PREBLOCK_BYTES_MAX   (3u * 1024u * 1024u)

/* Rounds kept below the last ordered anchor. A slower peer can still fetch them. Narwhal, garbage
 * collection; every peer system uses 50. */
#define GC_DEPTH 50u

/* Ordering records that the schedule looks back on (CONSENSUS 9). */
#define SCHEDULE_WINDOW 100u

/* Unordered payload of its own that a proposer lets pile up before batches must grow, bytes. */
#define OWN_UNORDERED_BYTES_MAX (8u * 1024u * 1024u)

/* Pre-blocks made here that stake Q has not attested to yet, and batches that the next ones wait for
 * here: past either a proposer names no payload. Else a network that orders faster than it moves batches
 * would fall behind without end. At PREBLOCK_BYTES_MAX the former is some seconds of full load. */
#define UNCERTIFIED_PREBLOCKS_MAX 64u
#define MISSING_BATCHES_MAX       256u

/* Batches of one author that nobody named yet, bytes. Its bulk link is not read beyond this. */
#define UNNAMED_BATCH_BYTES_MAX (64u * 1024u * 1024u)

/* Certificates that wait for parents. */
#define SUSPENDED_MAX 2000u

/* Attestations kept past the last certified pre-block. */
#define ATTESTATION_WINDOW 1000u

/* Worker ids: one worker per node in this version. */
#define WORKERS 1u

/* Page tree (Tezos preimage pages small enough for one inbox message). */
#define PAGE_CONTENT_BYTES_MAX 4000u
#define PAGE_HASHES_MAX        121u
#define PAGE_BYTES_MAX         4005u
#define PAGE_DEPTH_MAX         3u

/* Mesh frame, bytes, without its length prefix. */
#define FRAME_BYTES_MAX (1024u * 1024u)

/* Rollup inbox: external payload, and the batcher's operation (reference: Tezos protocol 025). */
#define INBOX_MESSAGE_BYTES_MAX   4095u
#define INBOX_FRAME_BYTES         21u /* 00 | 20-byte rollup hash */
#define INBOX_OPERATION_BYTES_MAX 32607u
#define INBOX_LEVEL_BYTES_MAX     (512u * 1024u)

_Static_assert(PAGE_BYTES_MAX == 5 + PAGE_CONTENT_BYTES_MAX,
               "a content page is header and content");
_Static_assert(5 + 33 * PAGE_HASHES_MAX <= PAGE_BYTES_MAX, "a full hash page is a page");
_Static_assert(BATCH_BYTES_MAX <= PAGE_HASHES_MAX * PAGE_CONTENT_BYTES_MAX,
               "one hash page covers a batch");
_Static_assert(INBOX_FRAME_BYTES + 1 + 9 + PAGE_BYTES_MAX <= INBOX_MESSAGE_BYTES_MAX,
               "a page message fits the inbox");
_Static_assert(8 * (4 + INBOX_FRAME_BYTES + 1 + 9 + PAGE_BYTES_MAX) <= INBOX_OPERATION_BYTES_MAX,
               "eight page messages fill one operation");
_Static_assert(INBOX_FRAME_BYTES + 1 + 1 + 153 + 1 + QUORUM_SIGNERS_MAX * 65 + 2 <=
                   INBOX_MESSAGE_BYTES_MAX,
               "a segment of one header and the largest smallest-quorum fits the inbox");
_Static_assert(TRANSACTION_BYTES_MAX + 16 <= BATCH_BYTES_MAX, "a transaction fits a batch");
_Static_assert(BATCH_BYTES_MAX + 64 <= FRAME_BYTES_MAX, "a batch fits a frame");
_Static_assert(HEADER_PAYLOAD_BYTES_MAX <= PREBLOCK_BYTES_MAX, "a certificate fits a pre-block");

#endif
