/* Server reflection, v1 and v1alpha: their messages have the same bytes. Answers come from the
 * descriptors embedded at build time; a file is sent with nothing else, as ours import nothing. */
#include <stdlib.h>

#include "consensus/node/api_internal.h"
#include "proto/descriptors.h"
#include "reflection.pb-c.h"

/* A request names one symbol or file. */
#define REQUEST_BYTES_MAX 1024u

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

static const struct proto_file *find_file(const char *name)
{
    for (size_t i = 0; i < proto_files_count; i++) {
        if (strcmp(proto_files[i].name, name) == 0) return &proto_files[i];
    }
    return NULL;
}

static const struct proto_file *find_symbol(const char *name)
{
    for (size_t i = 0; i < proto_files_count; i++) {
        for (size_t j = 0; j < proto_files[i].symbols_count; j++) {
            if (strcmp(proto_files[i].symbols[j], name) == 0) return &proto_files[i];
        }
    }
    return NULL;
}

/* protobuf-c's strings and byte fields are not const; nothing here is written to. */
static void *unconst(const void *data)
{
    return (void *)(uintptr_t)data;
}

static void pack_and_send(struct call *call, const reflection_response *response)
{
    size_t size = grpc__reflection__v1__server_reflection_response__get_packed_size(response);
    grpc_slice slice = grpc_slice_malloc(size);
    grpc__reflection__v1__server_reflection_response__pack(response, GRPC_SLICE_START_PTR(slice));
    call_send(call, slice);
    grpc_slice_unref(slice);
}

static void send_file(struct call *call,
                      reflection_response *response,
                      const struct proto_file *file)
{
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    Grpc__Reflection__V1__ErrorResponse error;
    grpc__reflection__v1__error_response__init(&error);
    ProtobufCBinaryData bytes;
    if (file != NULL) {
        bytes.data = unconst(file->descriptor);
        bytes.len = file->descriptor_len;
        files.n_file_descriptor_proto = 1;
        files.file_descriptor_proto = &bytes;
        response->message_response_case =
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
        response->file_descriptor_response = &files;
    } else {
        error.error_code = GRPC_STATUS_NOT_FOUND;
        error.error_message = unconst("no such file, symbol or extension");
        response->message_response_case =
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
        response->error_response = &error;
    }
    pack_and_send(call, response);
}

#define SERVICES_MAX 16u

static void send_services(struct call *call, reflection_response *response)
{
    Grpc__Reflection__V1__ServiceResponse services[SERVICES_MAX];
    Grpc__Reflection__V1__ServiceResponse *pointers[SERVICES_MAX];
    Grpc__Reflection__V1__ListServiceResponse list =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    for (const char *const *name = call->port->service_names; *name != NULL; name++) {
        CHECK(list.n_service < SERVICES_MAX);
        grpc__reflection__v1__service_response__init(&services[list.n_service]);
        services[list.n_service].name = unconst(*name);
        pointers[list.n_service] = &services[list.n_service];
        list.n_service++;
    }
    list.service = pointers;
    response->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response->list_services_response = &list;
    pack_and_send(call, response);
}

static void respond(struct call *call, reflection_request *request)
{
    reflection_response response;
    grpc__reflection__v1__server_reflection_response__init(&response);
    response.valid_host = request->host;
    response.original_request = request;
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        send_file(call, &response, find_file(request->file_by_filename));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        send_file(call, &response, find_symbol(request->file_containing_symbol));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        send_services(call, &response);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
    case _GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__CASE_IS_INT_SIZE:
        send_file(call, &response, NULL); /* proto3: there are no extensions */
        break;
    }
}

static void on_message(struct call *call, grpc_byte_buffer *message)
{
    if (message == NULL) {
        call_finish(call, GRPC_STATUS_OK, "", NULL);
        return;
    }
    uint8_t memory[REQUEST_BYTES_MAX];
    struct reader reader = call_read_small(memory, sizeof memory, message);
    reflection_request *request = NULL;
    if (!reader.failed) {
        request =
            grpc__reflection__v1__server_reflection_request__unpack(NULL, reader.left, reader.next);
    }
    if (request == NULL) {
        call_finish(call, GRPC_STATUS_INVALID_ARGUMENT, "the request is malformed", NULL);
        return;
    }
    respond(call, request);
    grpc__reflection__v1__server_reflection_request__free_unpacked(request, NULL);
}

/* One request at a time: the next is read when the answer is out. */
static void start_reflection(struct call *call)
{
    call->received = on_message;
    call->sent = call_receive;
    call_watch(call);
    call_receive(call);
}

const struct method reflection_methods[] = {
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", start_reflection, TOKEN_READ},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", start_reflection,
     TOKEN_READ},
    {NULL, NULL, TOKEN_ADMIN},
};
