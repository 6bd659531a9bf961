/* tokfile.h: the token file: a header, compressed frames of bounded size, a trailer. docs/TOKENS.md has the layout.
 * A frame carries tokens, and beside them the bytes that tokens do not carry; what these mean is not known here. */
#ifndef WLMI_TOKFILE_H
#define WLMI_TOKFILE_H

#include "token/codec.h"

enum {
    WLMI_TOKFILE_MAGIC = 8,          /* bytes that tell a token file */
    WLMI_FRAME_TOKENS = 1 << 20,     /* most tokens in a frame */
    WLMI_FRAME_BESIDE = 66 << 20     /* most bytes beside them: one record's, and what stood before it */
};

typedef struct wlmi_tokfile_head {
    uint8_t unit;   /* wlm_unit */
    uint8_t format; /* wlm_format of the source */
    uint32_t codec_version;
    char codec[17], codec_hash[65];
    int64_t start_ns;
    uint32_t payload; /* first bytes of payload per packet that are told; the others are drawn from the seed */
    uint64_t seed;
    uint32_t flows;   /* most that were told apart at a time; 0: none are */
} wlmi_tokfile_head;

typedef struct wlmi_frame {
    const wlmi_token *token;
    size_t tokens;
    const uint8_t *beside;
    size_t beside_size;
} wlmi_frame;

int wlmi_tokfile_magic(const uint8_t magic[WLMI_TOKFILE_MAGIC]);

typedef struct wlmi_sink { /* where bytes go */
    wlm_status (*write)(void *owner, const void *data, size_t size, wlm_error *error);
    void *owner;
} wlmi_sink;

typedef struct wlmi_source { /* where they come from; reads as wlmi_input_read() */
    wlm_status (*read)(void *owner, void *out, size_t size, size_t *got, wlm_error *error);
    void *owner;
    const char *name;
} wlmi_source;

typedef struct wlmi_tokfile_writer wlmi_tokfile_writer;
wlm_status wlmi_tokfile_writer_new(wlmi_tokfile_writer **writer, wlmi_sink sink, wlm_error *error);
void wlmi_tokfile_writer_free(wlmi_tokfile_writer *writer);
wlm_status wlmi_tokfile_put_head(wlmi_tokfile_writer *writer, const wlmi_tokfile_head *head, wlm_error *error);
wlm_status wlmi_tokfile_put_frame(wlmi_tokfile_writer *writer, const wlmi_frame *frame, wlm_error *error);
/* All of the report but token_file_bytes. */
wlm_status wlmi_tokfile_put_trailer(wlmi_tokfile_writer *writer, const wlm_token_report *report, wlm_error *error);
uint64_t wlmi_tokfile_written(const wlmi_tokfile_writer *writer);

typedef struct wlmi_tokfile_reader wlmi_tokfile_reader;
wlm_status wlmi_tokfile_reader_new(wlmi_tokfile_reader **reader, wlmi_source source, wlm_error *error);
void wlmi_tokfile_reader_free(wlmi_tokfile_reader *reader);
wlm_status wlmi_tokfile_get_head(wlmi_tokfile_reader *reader, wlmi_tokfile_head *head, wlm_error *error);
/* WLM_OK and a frame, borrowed until the next call; WLM_END and the trailer. The file must end there. */
wlm_status wlmi_tokfile_next(wlmi_tokfile_reader *reader, wlmi_frame *frame, wlm_token_report *trailer,
                             wlm_error *error);
uint64_t wlmi_tokfile_offset(const wlmi_tokfile_reader *reader);

#endif
