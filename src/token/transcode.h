/* transcode.h: captures to token files and back, a frame at a time, so that both can run in step. */
#ifndef WLMI_TRANSCODE_H
#define WLMI_TRANSCODE_H

#include "token/tokfile.h"

/* What stands beside the tokens of a frame: operations, each a byte and its numbers (LEB128) and bytes. They give, in
 * order, every byte of the capture that the packets of this frame are not. */
enum {
    WLMI_BESIDE_RUN,       /* n: the next n packets in the records that the layout foretells */
    WLMI_BESIDE_PACKET,    /* n, n bytes, m, m bytes: the next packet between these bytes */
    WLMI_BESIDE_HEADER,    /* n, n bytes: a file header or block, which changes the layout */
    WLMI_BESIDE_INTERFACE, /* n: packets that follow are on that interface of the section */
    WLMI_BESIDE_REST,      /* n, n bytes: from the damage on, taken as it is */
    WLMI_BESIDE_OPEN,      /* unit flow: n, d: slot n begins a stream, at the file's start time and d ns */
    WLMI_BESIDE_FLOW,      /* unit flow: n: packets that follow are of the stream in slot n */
    WLMI_BESIDE_END        /* unit flow: n: the next token ends the stream in slot n */
};

typedef struct wlmi_packer wlmi_packer; /* capture -> token file */

/* Takes the capture over. options: what they say of unit and payload. The bytes that decoding has to give go to `tap`, too,
 * unless tap.write is NULL: the capture's own, but for the payload left out. With a tap, it is also proved that the
 * packets that decoding gives have the same tokens. */
wlm_status wlmi_packer_new(wlmi_packer **packer, wlm_capture *capture, const wlmi_codec *codec,
                           const wlmi_coder_options *options, wlmi_sink sink, wlmi_sink tap, wlm_error *error);
/* Reads on until at least one frame was written; WLM_END once the trailer was. */
wlm_status wlmi_packer_step(wlmi_packer *packer, wlm_error *error);
const wlm_token_report *wlmi_packer_report(const wlmi_packer *packer); /* whole after WLM_END */
void wlmi_packer_free(wlmi_packer *packer);

/* Takes the capture over, encodes and decodes it in step, compares every byte. options: what they say of unit and payload. */
wlm_status wlmi_verify_capture(wlm_capture *capture, const char *name, const wlmi_codec *codec,
                               const wlmi_coder_options *options, wlm_token_report *report, wlm_error *error);

typedef struct wlmi_unpacker wlmi_unpacker; /* token file -> capture */

wlm_status wlmi_unpacker_new(wlmi_unpacker **unpacker, wlmi_source source, wlmi_sink sink, wlm_error *error);
/* What the file must be: WLM_ERR_ARGUMENT from the first step where it is not. expected: as of wlm_decode_file(). */
void wlmi_unpacker_expect(wlmi_unpacker *unpacker, const wlm_token_options *expected);
/* Takes the header, if not yet done, and one frame; WLM_END once the trailer was found to be right. */
wlm_status wlmi_unpacker_step(wlmi_unpacker *unpacker, wlm_error *error);
const wlm_token_report *wlmi_unpacker_report(const wlmi_unpacker *unpacker);
void wlmi_unpacker_free(wlmi_unpacker *unpacker);

#endif
